import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QueryMaker } from './query-maker.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

/** Every masked value of the sample data starts with these digits, and nothing else does. */
const CANARY = '77';
const MASKED = new Set(['public.people.secret', 'public.people.mail', 'public.pay.pan']);
const QUERIES = 600;
/** Queries that PostgreSQL accepts; the generator is not that clever about types. */
const ENOUGH = 300;

describe('random queries, against the server', () => {
  let bench: SqlBench;
  let client: pg.Client;
  beforeAll(async () => {
    bench = await startSqlBench(SAMPLE_SCHEMA);
    client = new pg.Client({ connectionString: bench.url });
    await client.connect();
    await client.query("SET statement_timeout = '2s'; SET search_path = public");
  });
  afterAll(async () => {
    await client?.end();
    await bench?.[Symbol.asyncDispose]();
  });

  test('a column that shows a masked value has it among its sources; names, types and number agree', async () => {
    let accepted = 0;
    let shown = 0;
    for (let seed = 1; seed <= QUERIES; seed++) {
      const sql = new QueryMaker(seed).query(1 + (seed % 3), 3);
      let result: pg.QueryArrayResult<unknown[]>;
      try {
        result = await client.query({ text: sql, rowMode: 'array' });
      } catch {
        continue;
      }
      accepted++;
      const [analysis] = await bench.analyse(sql);
      expect(analysis?.opaque, `seed ${seed}: ${sql}`).toEqual([]);
      const outputs = analysis?.outputs ?? [];
      expect(
        outputs.map((output) => output.name),
        sql,
      ).toEqual(result.fields.map((field) => field.name));
      outputs.forEach((output, index) => {
        if (output.typeOid !== undefined) {
          expect(output.typeOid, sql).toBe(result.fields[index]?.dataTypeID);
        }
        const reaching = [...output.sources, ...(output.tied ?? [])];
        const masked = reaching.some((fact) =>
          MASKED.has(`${fact.schema}.${fact.name}.${fact.column}`),
        );
        const shows = result.rows.some((row) => String(row[index]).includes(CANARY));
        shown += shows ? 1 : 0;
        expect(masked || !shows, `seed ${seed}, column ${index + 1}: ${sql}`).toBe(true);
        const field = result.fields[index];
        const kind = bench.catalog.relationByOid(field?.tableID ?? 0)?.kind;
        if (field && kind !== undefined && kind !== 'v' && kind !== 'm') {
          // What the engine checks in RowDescription, independently of all this.
          const own = output.sources.some(
            (fact) => fact.oid === field.tableID && fact.attnum === field.columnID,
          );
          expect(own, sql).toBe(true);
        }
        const [origin] = output.sources;
        if (
          output.kind === 'identity' &&
          field &&
          field.tableID !== 0 &&
          field.tableID === origin?.oid
        ) {
          expect(field.columnID, sql).toBe(origin.attnum);
        }
      });
    }
    expect(accepted).toBeGreaterThan(ENOUGH);
    expect(shown).toBeGreaterThan(100);
  });
});
