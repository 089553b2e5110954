/** Changes that the server makes besides count as if they stood in the statement. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqlRefusal } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { type GrantText, grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'consequences.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

async function indirect(sql: string): Promise<string[]> {
  const [analysis] = await bench.analyse(sql);
  return (analysis?.writesIndirectly ?? [])
    .map(({ change, schema, name, via }) => `${change} ${schema}.${name} via ${via.name}`)
    .sort();
}

async function refused(sql: string, grant: GrantText): Promise<SqlRefusal | undefined> {
  const verdict = evaluate(await bench.analyse(sql), grantOf(grant), { catalog: bench.catalog });
  return verdict.effect === 'refuse' ? verdict.refusal : undefined;
}

describe('what changes besides', () => {
  test.each<[string, string[]]>([
    [
      'DELETE FROM app.customers WHERE id = 1',
      [
        'delete audit.entries via customers',
        'update audit.details via customers',
        'update audit.marks via customers',
      ],
    ],
    ["UPDATE app.customers SET code = 'x' WHERE id = 1", ['update audit.entries via customers']],
    ["UPDATE app.customers SET name = 'x' WHERE id = 1", []],
    [
      'DELETE FROM app.names WHERE id = 1',
      [
        'delete audit.entries via names',
        'update audit.details via names',
        'update audit.marks via names',
      ],
    ],
    ["INSERT INTO app.inbox VALUES (1, 'a')", ['delete audit.details via inbox']],
    ['COPY app.inbox FROM STDIN', ['delete audit.details via inbox']],
    ["UPDATE app.inbox SET v = 'b' WHERE id = 1", []],
    ["UPDATE app.keeper SET name = 'b' WHERE id = 1", ['insert app.log via keeper']],
    [
      "UPDATE app.people SET name = 'b' WHERE id = 1",
      ['insert app.log via people', 'update app.keeper via people'],
    ],
    ['DELETE FROM app.people WHERE id = 1', ['delete app.keeper via people']],
    ["INSERT INTO app.events VALUES (1, '2024-02-02')", ['insert app.events_2024 via events']],
    ['INSERT INTO app.base VALUES (1)', []],
    ['DELETE FROM app.base WHERE id = 1', ['delete app.derived via base']],
    [
      'MERGE INTO app.customers c USING app.notes n ON c.id = n.customer WHEN MATCHED THEN DELETE',
      [
        'delete audit.entries via customers',
        'update audit.details via customers',
        'update audit.marks via customers',
      ],
    ],
    [
      'WITH d AS (DELETE FROM app.base RETURNING id) SELECT * FROM d',
      ['delete app.derived via base'],
    ],
    ['EXPLAIN DELETE FROM app.customers', []],
    ['EXPLAIN ANALYZE DELETE FROM app.base', ['delete app.derived via base']],
    ['SELECT * FROM app.customers', []],
  ])('%s', async (sql, changes) => {
    expect(await indirect(sql)).toEqual(changes);
  });

  test('a prepared statement says so when it is executed', async () => {
    const [prepared] = await bench.analyse('PREPARE p AS DELETE FROM app.base');
    expect(prepared?.writesIndirectly).toMatchObject([{ name: 'derived', change: 'delete' }]);
    const both = await bench.analyse('PREPARE p AS DELETE FROM app.base; EXECUTE p');
    expect(both[1]?.writesIndirectly).toMatchObject([{ name: 'derived', change: 'delete' }]);
  });
});

describe('rules of the policy', () => {
  const ALL = 'allow select, insert, update, delete, merge on app.*';

  test.each([
    ['DELETE FROM app.customers WHERE id = 1', 'deny delete on audit.*'],
    ['DELETE FROM app.names WHERE id = 1', 'deny delete on audit.entries'],
    ['DELETE FROM app.customers WHERE id = 1', 'deny update on audit.details'],
    ["UPDATE app.customers SET code = 'x' WHERE id = 1", 'deny update on audit.*'],
    ["INSERT INTO app.inbox VALUES (1, 'a')", 'deny delete on audit.*'],
    ['INSERT INTO app.events VALUES (1, now())', 'deny insert on app.events_*'],
    ['DELETE FROM app.people WHERE id = 1', 'deny delete on app.keeper'],
    ['DELETE FROM app.base', 'deny delete without WHERE on app.derived'],
  ])('%s meets: %s', async (sql, deny) => {
    expect(await refused(sql, { rules: [ALL] })).toBeUndefined();
    const refusal = await refused(sql, { rules: [ALL, deny] });
    expect(refusal).toMatchObject({ code: 'HOOP_DENIED', rule: { id: 'p/rule-2' } });
    expect(`${refusal?.message} ${refusal?.detail}`).not.toMatch(/audit|derived|keeper|events_/);
  });

  test.each([
    ["UPDATE app.customers SET name = 'x' WHERE id = 1", 'deny update, delete on audit.*'],
    ['DELETE FROM app.customers WHERE id = 1', 'deny insert on audit.*'],
    ['DELETE FROM app.customers WHERE id = 1', 'deny delete on audit.details'],
    ["INSERT INTO app.inbox VALUES (1, 'a')", 'deny insert on audit.*'],
    ['DELETE FROM app.base WHERE id = 1', 'deny delete without WHERE on app.derived'],
    ['INSERT INTO app.notes VALUES (1)', 'deny delete on *'],
  ])('%s is not meant by: %s', async (sql, deny) => {
    expect(await refused(sql, { rules: [ALL, deny] })).toBeUndefined();
  });

  test('a function in the action of a rule needs a rule that names it', async () => {
    const sql = 'INSERT INTO app.calling VALUES (1)';
    expect(await refused(sql, { rules: [ALL] })).toMatchObject({ code: 'HOOP_NOT_ALLOWED' });
    expect(await refused(sql, { rules: [ALL, 'allow calls of app.purge'] })).toBeUndefined();
  });

  test('a rule that puts a masked column elsewhere copies it', async () => {
    const masks = ['app.leaky.secret full', 'app.keeper.secret full'];
    const leaky = "UPDATE app.leaky SET name = 'x' WHERE id = 1";
    expect(await refused(leaky, { rules: [ALL], masks })).toMatchObject({
      code: 'HOOP_MASKED_WRITE',
    });
    expect(await refused(leaky, { rules: [ALL] })).toBeUndefined();
    const kept = "UPDATE app.keeper SET name = 'x' WHERE id = 1";
    expect(await refused(kept, { rules: [ALL], masks })).toBeUndefined();
  });

  test('a rule that updates what is behind a view leaves masked columns as they are', async () => {
    const masks = ['app.keeper.secret full'];
    const one = "UPDATE app.people SET name = 'x' WHERE id = 1";
    expect(await refused(one, { rules: [ALL], masks })).toBeUndefined();
    const other = "UPDATE app.people SET secret = 'x' WHERE id = 1";
    expect(await refused(other, { rules: [ALL], masks })).toMatchObject({
      code: 'HOOP_MASKED_WRITE',
    });
  });
});
