import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RowCountSource } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import { confirmed, type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
let client: pg.Client;
beforeAll(async () => {
  bench = await startSqlBench(fileURLToPath(new URL('row-counts.sql', import.meta.url)));
  client = new pg.Client({ connectionString: bench.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await bench[Symbol.asyncDispose]();
});

async function sourceOf(sql: string): Promise<RowCountSource | undefined> {
  const [prepared] = await bench.analyse('PREPARE q AS DELETE FROM plain');
  const [analysis] = await bench.analyse(sql, {
    prepared: () => prepared && confirmed(prepared),
  });
  return analysis?.rowCount;
}

const STATISTICS = `SELECT oid, pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
  + pg_stat_get_xact_tuples_deleted(oid) AS rows FROM pg_class WHERE relkind = 'r' AND oid >= 16384`;

/** What the statement really changes, table by table, and the number in its tag. */
async function really(sql: string): Promise<{ tag: number | null; tables: Map<number, number> }> {
  // What earlier transactions changed stands in there until the server gets to handing it on.
  const counts = async () => {
    const { rows } = await client.query<{ oid: number; rows: string }>(STATISTICS);
    return new Map(rows.map((row) => [row.oid, Number(row.rows)]));
  };
  await client.query('BEGIN');
  try {
    await client.query('PREPARE q AS DELETE FROM plain');
    const before = await counts();
    const { rowCount } = await client.query(sql);
    const after = await counts();
    const tables = [...after].map(([oid, rows]) => [oid, rows - (before.get(oid) ?? 0)] as const);
    return { tag: rowCount, tables: new Map(tables) };
  } finally {
    await client.query('ROLLBACK');
    await client.query('DEALLOCATE ALL');
  }
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0);

describe('the tag has the number of rows that change in', () => {
  test.each([
    ["UPDATE plain SET state = 'x' WHERE id < 4"],
    ['DELETE FROM plain'],
    ['DELETE FROM items'],
    ["INSERT INTO plain SELECT n, 'x' FROM generate_series(100, 120) n"],
    ["INSERT INTO plain VALUES (1, 'x'), (99, 'y') ON CONFLICT (id) DO UPDATE SET state = 'z'"],
    ['MERGE INTO plain USING orders o ON plain.id = o.id WHEN MATCHED THEN DELETE'],
    ["UPDATE open_plain SET state = 'done' WHERE id > 5"],
    ['DELETE FROM parts'],
    ["UPDATE orders SET state = 'x'"],
    ['EXECUTE q'],
  ])('%s', async (sql) => {
    expect(await sourceOf(sql)).toEqual({ from: 'tag' });
    const { tag, tables } = await really(sql);
    expect(tag).toBeGreaterThan(0);
    expect(sum(tables.values())).toBe(tag);
  });

  test('COPY FROM', async () => {
    expect(await sourceOf('COPY plain FROM STDIN')).toEqual({ from: 'tag' });
  });
});

describe('the statistics of these tables have the number of rows that change in', () => {
  test.each([
    ['DELETE FROM owners WHERE id = 1'],
    ['DELETE FROM orders'],
    ['DELETE FROM trees WHERE id = 2'],
    ['UPDATE orders SET id = id + 100 WHERE id = 9'],
    ['WITH d AS (DELETE FROM plain RETURNING id) SELECT count(*) FROM d'],
    ["WITH d AS (DELETE FROM plain) UPDATE owners SET name = 'x'"],
    ['EXPLAIN ANALYZE DELETE FROM plain'],
    ['EXPLAIN ANALYZE EXECUTE q'],
    ['EXPLAIN (ANALYZE) DELETE FROM parts'],
  ])('%s', async (sql) => {
    const source = await sourceOf(sql);
    const { tag, tables } = await really(sql);
    const all = sum(tables.values());
    expect(all).not.toBe(tag);
    const relations = source?.from === 'statistics' ? source.relations : [];
    const counted = relations === 'all' ? all : sum(relations.map((oid) => tables.get(oid) ?? 0));
    expect(counted).toBe(all);
  });

  test.each([
    ["UPDATE watched SET state = 'x'"],
    ['INSERT INTO ruled VALUES (1)'],
    ['UPDATE plain SET state = slug(state)'],
  ])('%s, and its own code can be anywhere', async (sql) => {
    expect(await sourceOf(sql)).toEqual({ from: 'statistics', relations: 'all' });
  });
});

test('what the statistics of a transaction do not show is counted nowhere', async () => {
  const cases: readonly (readonly [sql: string, why: string])[] = [
    ['INSERT INTO signs VALUES (1)', 'public.far is a foreign table'],
    ['DELETE FROM far', 'public.far is a foreign table'],
    ['INSERT INTO halves VALUES (1)', 'public.half is a foreign table'],
    ['DELETE FROM late', 'a trigger of public.late can be deferred to the end of the transaction'],
    [
      'UPDATE owners SET id = sweep()',
      'function public.sweep is not built in, and what it reads cannot be seen from here',
    ],
  ];
  for (const [sql, why] of cases) {
    expect(await sourceOf(sql), sql).toEqual({ from: 'nowhere', why });
  }
});

test('what changes no rows has no count', async () => {
  for (const sql of [
    'SELECT 1',
    'EXPLAIN DELETE FROM plain',
    'COPY plain TO STDOUT',
    'TRUNCATE plain',
    'CREATE TABLE t AS SELECT * FROM plain',
  ]) {
    expect(await sourceOf(sql), sql).toBeUndefined();
  }
});
