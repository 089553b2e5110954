import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { QueryMaker } from './query-maker.ts';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

/**
 * Two databases that differ in masked values alone. Whoever is denied inference must not be able to
 * tell them apart: what is allowed has the same rows, values, NULLs and errors in both, but for what
 * a mask replaces. It rests on nothing that the analysis believes of PostgreSQL.
 */
const MASKS = [
  'public.people.secret full',
  'public.people.mail full',
  'public.former_people.secret full',
  'public.pay.pan full',
];
const QUERIES = 3000;

let first: SqlBench;
let second: SqlBench;
const clients: pg.Client[] = [];
const folder = mkdtempSync(join(tmpdir(), 'hoop-twin-'));

beforeAll(async () => {
  const text = readFileSync(SAMPLE_SCHEMA, 'utf8');
  // Other lengths, another order, other characters; equal stays equal.
  const other = text.replaceAll(/'77(\w+)(@[\w.]+)?'/g, (_, name: string) => {
    const turned = [...name].reverse().join('');
    return `'${Number(name.at(-1)) % 2 === 0 ? '0' : 'zz'}${turned}k'`;
  });
  expect(other).not.toBe(text);
  writeFileSync(join(folder, 'other.sql'), other);
  first = await startSqlBench(SAMPLE_SCHEMA);
  second = await startSqlBench(join(folder, 'other.sql'));
  for (const { url } of [first, second]) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("SET statement_timeout = '5s'; SET search_path = public");
    clients.push(client);
  }
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await first?.[Symbol.asyncDispose]();
  await second?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** What a client would see; a masked value stands for itself, NULL or not. */
async function seen(client: pg.Client | undefined, sql: string, masked: readonly boolean[]) {
  try {
    const result = await client?.query({ text: sql, rowMode: 'array' });
    const rows: unknown[][] = result?.rows ?? [];
    return rows
      .map((row) =>
        JSON.stringify(row.map((value, index) => (masked[index] ? value === null : value))),
      )
      .sort();
  } catch (error) {
    return error instanceof pg.DatabaseError ? error.code : String(error);
  }
}

test('no random query that is allowed tells two databases apart that differ in masked values', async () => {
  const grant = grantOf({ rules: ['allow *'], masks: MASKS, inference: 'deny' });
  let allowed = 0;
  let carrying = 0;
  for (let seed = 1; seed <= QUERIES; seed++) {
    const sql = new QueryMaker(seed, seed % 4 > 0).query(1 + (seed % 3), 3);
    const analyses = await first.analyse(sql).catch(() => undefined);
    // The generator does not know all of the grammar.
    if (analyses === undefined) continue;
    const verdict = evaluate(analyses, grant, { catalog: first.catalog });
    if (verdict.effect === 'refuse') continue;
    const masked = (verdict.statements[0]?.masks ?? []).map((mask) => mask !== undefined);
    allowed += 1;
    carrying += masked.some(Boolean) ? 1 : 0;
    const [client, twin] = clients;
    expect(await seen(twin, sql, masked), `seed ${seed}: ${sql}`).toEqual(
      await seen(client, sql, masked),
    );
  }
  expect(allowed).toBeGreaterThan(500);
  expect(carrying).toBeGreaterThan(100);
});
