/**
 * `lower`, `=`, `||` and `count` may be somebody's own. What is permitted to the built-in ones, because
 * they do nothing that shows, is permitted to none of these, even where a rule lets them run.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verdict } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'namesakes.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

const CALLED = 'allow calls of evil.*';
const SHOWING =
  'allow calls of evil.lower, evil.concat, evil.to_jsonb, evil.count, evil.same, evil.joined that may show';

async function decide(sql: string, searchPath: string, ...rules: string[]): Promise<Verdict> {
  const grant = grantOf({
    rules: ['allow select on app.*, pg_catalog.*', ...rules],
    masks: ['app.staff.token hash lookup', 'app.staff.pin full'],
    inference: 'deny',
  });
  const path = searchPath.split(' ');
  return evaluate(await bench.analyse(sql, { searchPath: path }), grant, {
    catalog: bench.catalog,
  });
}

const WRITTEN_OUT = [
  "SELECT pid FROM pg_stat_activity WHERE evil.lower(query) = 'select'",
  "SELECT pid FROM pg_stat_activity WHERE query OPERATOR(evil.=) 'select'",
  "SELECT pid FROM pg_stat_activity WHERE query OPERATOR(evil.<>) 'select'",
  "SELECT pid FROM pg_stat_activity WHERE query OPERATOR(evil.~~) 'select'",
  'SELECT evil.lower(token) FROM app.staff',
  'SELECT evil.concat(token, pin) FROM app.staff',
  "SELECT token OPERATOR(evil.||) 'x' FROM app.staff",
  'SELECT evil.to_jsonb(token) FROM app.staff',
  'SELECT evil.count(token) FROM app.staff',
  "SELECT id FROM app.staff WHERE token OPERATOR(evil.=) 'x'",
  "SELECT id FROM app.staff WHERE evil.lower(token) = 'x'",
  'SELECT a.id FROM app.staff a JOIN app.staff b ON a.token OPERATOR(evil.=) b.token',
];

describe.each(WRITTEN_OUT)('%s', (sql) => {
  test.each([[], [CALLED], [SHOWING]])('is refused with the rules %s', async (...rules) => {
    const verdict = await decide(sql, 'pg_catalog public', ...rules);
    expect(verdict).toMatchObject({ effect: 'refuse' });
  });

  test('and so it is where the search_path finds them', async () => {
    const text = sql.replace(/evil\./, '').replace(/OPERATOR\((\S+)\)/, '$1');
    for (const rules of [[], [CALLED], [SHOWING]]) {
      const verdict = await decide(text, 'evil pg_catalog public', ...rules);
      expect(verdict).toMatchObject({ effect: 'refuse' });
    }
  });
});

test.each([
  "SELECT pid FROM pg_stat_activity WHERE lower(query) LIKE 'select%'",
  "SELECT pid FROM pg_stat_activity WHERE query <> 'select' AND query NOT LIKE '%pg_locks%'",
  "SELECT lower(token), token || 'x', to_jsonb(token) FROM app.staff",
  "SELECT id FROM app.staff WHERE token = 'x'",
  "SELECT evil.lower('x'), pin FROM app.staff",
])('everyday, with the built-in ones: %s', async (sql) => {
  const verdict = await decide(sql, 'pg_catalog public', SHOWING);

  expect(verdict).toMatchObject({ effect: 'allow' });
});
