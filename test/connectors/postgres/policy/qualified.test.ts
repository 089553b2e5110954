import { afterAll, beforeAll, expect, test } from 'vitest';
import { SAMPLE_SCHEMA, type SqlBench, startSqlBench } from './sql-bench.ts';

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SAMPLE_SCHEMA);
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function qualified(sql: string): Promise<boolean | undefined> {
  const [analysis] = await bench.analyse(sql);
  return analysis?.qualified;
}

test('a WHERE that names a column qualifies, whatever it leaves out', async () => {
  for (const where of [
    'id = 1',
    '1 = id',
    'id = $1',
    'done',
    'CURRENT OF c',
    'tasks IS NOT NULL',
    'tasks.* IS NOT NULL',
    "id IN (1, 2) AND note LIKE 'a%'",
    'EXISTS (SELECT 1 FROM people p WHERE p.id = owner)',
    'EXISTS (SELECT * FROM people p WHERE p.id = owner)',
    // These change all rows. Rules with `rows` see that.
    'id = id',
    'id > -2147483648',
    'id IS NOT NULL',
    'true OR id = 1',
    'id IN (SELECT id FROM tasks)',
  ]) {
    expect(await qualified(`UPDATE tasks SET note = 'x' WHERE ${where}`), where).toBe(true);
    expect(await qualified(`DELETE FROM tasks WHERE ${where}`), where).toBe(true);
  }
});

test('no WHERE, and one that names no column, does not', async () => {
  expect(await qualified('DELETE FROM tasks')).toBe(false);
  expect(await qualified('UPDATE tasks SET id = p.id FROM people p')).toBe(false);
  for (const where of [
    'true',
    '1 = 1',
    '$1',
    '$1 = 1',
    'random() >= 0',
    "now() > '2000-01-01'",
    "'yes'::bool AND coalesce(NULL, true)",
    'EXISTS (SELECT 1 FROM people)',
    'EXISTS (SELECT * FROM people)',
    '(SELECT count(*) FROM tasks) > 0',
    'ARRAY[1, 2] = ARRAY[1, 2]',
    'CASE WHEN true THEN true END',
  ]) {
    expect(await qualified(`UPDATE tasks SET note = 'x' WHERE ${where}`), where).toBe(false);
    expect(await qualified(`DELETE FROM tasks WHERE ${where}`), where).toBe(false);
  }
});

test('every UPDATE and DELETE of a statement must be qualified; what has none is neither', async () => {
  const upsert = 'INSERT INTO tasks (id) SELECT id FROM people ON CONFLICT (id) DO';
  const merge = 'MERGE INTO tasks t USING people p ON';
  const cases: readonly (readonly [sql: string, expected: boolean | undefined])[] = [
    ['WITH d AS (DELETE FROM tasks) DELETE FROM people WHERE id = 1', false],
    ['WITH d AS (DELETE FROM tasks WHERE id = 1) SELECT 1', true],
    ['EXPLAIN ANALYZE DELETE FROM tasks', false],
    ['EXPLAIN DELETE FROM tasks', undefined],
    ['SELECT 1', undefined],
    ['INSERT INTO tasks (id) SELECT id FROM people', undefined],
    // Each row that it changes is named by its key.
    [`${upsert} UPDATE SET note = 'x'`, true],
    [`${upsert} NOTHING`, undefined],
    [`${merge} t.owner = p.id WHEN MATCHED THEN DELETE`, true],
    [`${merge} true WHEN MATCHED THEN DELETE`, false],
    [`${merge} true WHEN MATCHED AND t.id = 5 THEN DELETE`, true],
    [`${merge} t.owner = p.id WHEN NOT MATCHED BY SOURCE THEN DELETE`, false],
    [`${merge} t.owner = p.id WHEN NOT MATCHED BY SOURCE AND t.done THEN DELETE`, true],
    [
      `${merge} true WHEN MATCHED AND t.done THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'x'`,
      false,
    ],
    [`${merge} true WHEN NOT MATCHED THEN INSERT (id) VALUES (p.id)`, undefined],
  ];
  for (const [sql, expected] of cases) {
    expect(await qualified(sql), sql).toBe(expected);
  }
});

test('a condition as deep as the parser takes it is looked through', async () => {
  const deep = `${'NOT ('.repeat(700)}id = 1${')'.repeat(700)}`;
  expect(await qualified(`DELETE FROM tasks WHERE ${deep}`)).toBe(true);
});
