import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'consequences.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

async function masks(sql: string, ...named: string[]): Promise<string[] | string> {
  const grant = grantOf({
    rules: ['allow select, insert, update on app.*'],
    masks: ['app.cards.pan hash', ...named],
  });
  const verdict = evaluate(await bench.analyse(sql), grant, { catalog: bench.catalog });
  return verdict.effect === 'refuse'
    ? verdict.refusal.code
    : (verdict.statements[0]?.masks ?? []).map((mask) => mask?.mask ?? '-');
}

test('a column that references a masked one is masked the same', async () => {
  expect(await masks('SELECT id, card FROM app.payments')).toEqual(['-', 'hash']);
});

test('so is one that references that one, one in a key of several columns, and one that inherits', async () => {
  expect(await masks('SELECT id, card FROM app.refunds')).toEqual(['-', 'hash']);
  expect(await masks('SELECT kind, card FROM app.fees')).toEqual(['-', 'hash']);
  expect(await masks('SELECT id, card FROM app.recent_payments')).toEqual(['-', 'hash']);
});

test('what is referenced beside a masked column is not masked', async () => {
  expect(await masks('SELECT kind FROM app.cards')).toEqual(['-']);
});

test('of the mask of its own and that of the column it references the stricter one holds', async () => {
  expect(await masks('SELECT card FROM app.payments', 'app.payments.card full')).toEqual(['full']);
  expect(await masks('SELECT card FROM app.payments', 'app.payments.card partial')).toEqual([
    'hash',
  ]);
});

test('whether it may be written is said where it is named itself', async () => {
  const sql = "UPDATE app.payments SET card = '1' WHERE id = 1";
  expect(await masks(sql)).toBe('HOOP_MASKED_WRITE');
  expect(await masks('UPDATE app.payments SET amount = 1 WHERE id = 1')).toEqual([]);
});

test('what references a column that is generated from a masked one is masked whole', async () => {
  const sql = 'SELECT id, tag, place FROM app.tags';
  expect(await masks(sql, 'app.tagged.pin partial')).toEqual(['-', 'full', '-']);
  expect(await masks(sql, 'app.tagged.pin null')).toEqual(['-', 'null', '-']);
  expect(await masks(sql)).toEqual(['-', '-', '-']);
});
