/** Casts that the server applies by itself are calls that a rule must name. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

async function decided(sql: string, ...rules: string[]): Promise<string> {
  const verdict = evaluate(
    await bench.analyse(sql),
    grantOf({ rules: ['allow select, insert, update, merge on app.*', ...rules] }),
    { catalog: bench.catalog },
  );
  return verdict.effect === 'refuse' ? verdict.refusal.code : 'allow';
}

describe('a user cast that is applied unasked needs a rule that names its function', () => {
  test.each([
    ['INSERT INTO app.moody (m) SELECT v FROM app.moody', 'app.text_mood'],
    ['UPDATE app.moody SET m = v WHERE id = 1', 'app.text_mood'],
    ["UPDATE app.moody SET m = 'a' || 'b' WHERE id = 1", 'app.text_mood'],
    ["INSERT INTO app.moody (m) SELECT id::text || 'x' FROM app.moody", 'app.text_mood'],
    ["SELECT ('a' || 'b')::app.mood", 'app.text_mood'],
    ["SELECT ARRAY['a'::text]::app.mood[]", 'app.text_mood'],
    ['SELECT m::text FROM app.moody', 'app.mood_text'],
    ['INSERT INTO app.moody (v) SELECT m FROM app.moody', 'app.mood_text'],
    ['INSERT INTO app.moody (ms) SELECT array_agg(v) FROM app.moody', 'app.text_mood'],
    ['SELECT lower(m) FROM app.moody', 'app.mood_text'],
    ["SELECT m || 'x' FROM app.moody", 'app.mood_text'],
    ["SELECT id FROM app.moody WHERE m LIKE 'f%'", 'app.mood_text'],
    ['SELECT id FROM app.moody WHERE m = v', 'app.mood_text'],
    ['SELECT m FROM app.moody UNION ALL SELECT v FROM app.moody', 'app.mood_text'],
    ['SELECT coalesce(m, v) FROM app.moody', 'app.mood_text'],
    ['SELECT CASE WHEN id > 1 THEN m ELSE v END FROM app.moody', 'app.mood_text'],
    ['SELECT a.id FROM app.moody a JOIN app.moody b ON a.m = b.v', 'app.mood_text'],
  ])('%s', async (sql, called) => {
    expect(await decided(sql)).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, `allow calls of ${called}`)).toBe('allow');
  });
});

describe('what applies none goes on', () => {
  test.each([
    "INSERT INTO app.moody (m) VALUES ('fine')",
    'INSERT INTO app.moody (m) VALUES ($1)',
    'INSERT INTO app.moody (m, ms) VALUES (DEFAULT, DEFAULT)',
    "UPDATE app.moody SET m = ms[1], ms[1] = 'fine'",
    "UPDATE app.moody SET m = DEFAULT, ms = '{fine}', v = v || id WHERE ms = '{fine}'",
    'INSERT INTO app.moody (m) SELECT m FROM app.moody',
    'INSERT INTO app.moody (v) SELECT v FROM app.moody',
    'INSERT INTO app.moody (id, v) SELECT id + 1, v || v FROM app.moody',
    'SELECT a.id FROM app.moody a JOIN app.moody b ON a.ms = b.ms',
    'SELECT m, lower(v), count(*) FROM app.moody GROUP BY m, v',
    "SELECT m FROM app.moody WHERE v = 'x' AND id = 1",
  ])('%s', async (sql) => {
    expect(await decided(sql)).toBe('allow');
  });
});

test('an INSTEAD OF trigger is all that a change of its view does, so a rule must name it', async () => {
  const sql = "INSERT INTO app.triggered VALUES (1, 'x')";
  expect(await decided(sql)).toBe('HOOP_NOT_ALLOWED');
  expect(await decided(sql, 'allow calls of app.instead')).toBe('allow');
});

describe('definitions bring code along', () => {
  const rules = ['allow create table, alter domain'];

  test('CREATE TABLE … LIKE with defaults, checks and generated columns', async () => {
    const sql = (table: string, what: string) => `CREATE TABLE app.x (LIKE app.${table} ${what})`;
    for (const [table, what, called] of [
      ['made', 'INCLUDING DEFAULTS', 'app.make_id'],
      ['made', 'INCLUDING ALL', 'app.make_id'],
      ['computed', 'INCLUDING GENERATED', 'app.shorter'],
      ['controlled', 'INCLUDING CONSTRAINTS', 'app.is_fine'],
    ] as const) {
      expect(await decided(sql(table, what), ...rules)).toBe('HOOP_NOT_ALLOWED');
      expect(await decided(sql(table, what), ...rules, `allow calls of ${called}`)).toBe('allow');
      expect(await decided(sql(table, ''), ...rules)).toBe('allow');
    }
    expect(await decided(sql('orders', 'INCLUDING ALL'), ...rules)).toBe('allow');
  });

  test('ALTER DOMAIN runs its checks over all rows', async () => {
    const sql = 'ALTER DOMAIN app.fine VALIDATE CONSTRAINT fine_check';
    expect(await decided(sql, ...rules)).toBe('HOOP_NOT_ALLOWED');
    expect(await decided(sql, ...rules, 'allow calls of app.is_fine')).toBe('allow');
    expect(await decided('ALTER DOMAIN app.fine DROP CONSTRAINT fine_check', ...rules)).toBe(
      'allow',
    );
  });

  test('a check of a domain that a masked column has would tell its values', async () => {
    const add = "ALTER DOMAIN app.code ADD CHECK (VALUE < 'm')";
    const grant = (masks: string[]) => grantOf({ rules: ['allow *'], masks });
    const verdict = async (masks: string[]) =>
      evaluate(await bench.analyse(add), grant(masks), { catalog: bench.catalog }).effect;
    expect(await verdict(['app.vault.code full'])).toBe('refuse');
    expect(await verdict(['app.vault.id full'])).toBe('allow');
  });
});
