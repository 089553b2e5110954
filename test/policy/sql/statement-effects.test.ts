import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settingEffect } from '../../../src/policy/sql/settings-table.ts';
import type { StatementAnalysis } from '../../../src/policy/sql/types.ts';
import {
  columnNames,
  confirmed,
  SAMPLE_SCHEMA,
  type SqlBench,
  startSqlBench,
} from './sql-bench.ts';

describe('what a statement does', () => {
  let bench: SqlBench;
  beforeAll(async () => {
    bench = await startSqlBench(SAMPLE_SCHEMA);
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });

  async function one(sql: string, context = {}): Promise<StatementAnalysis> {
    const [analysis, ...more] = await bench.analyse(sql, context);
    if (!analysis || more.length > 0) {
      throw new Error(`not one statement: ${sql}`);
    }
    return analysis;
  }
  const names = (facts: StatementAnalysis['reads']) =>
    facts
      .map((fact) => `${fact.schema}.${fact.name}${fact.via ? ` via ${fact.via.name}` : ''}`)
      .sort();

  test('the verb is the command as the documentation names it, inner verbs follow', async () => {
    const cases: readonly (readonly [sql: string, ...verbs: string[]])[] = [
      ['SELECT 1', 'select'],
      ['VALUES (1)', 'select'],
      ['TABLE tasks', 'select'],
      ['SELECT id FROM tasks FOR UPDATE', 'select'],
      ['INSERT INTO tasks VALUES (1)', 'insert'],
      ['INSERT INTO tasks (id) SELECT id FROM people', 'insert', 'select'],
      [
        "INSERT INTO tasks (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x'",
        'insert',
        'update',
      ],
      ['WITH d AS (DELETE FROM tasks RETURNING id) SELECT * FROM d', 'select', 'delete'],
      ['WITH a AS (SELECT 1), d AS (UPDATE tasks SET id = 1) TABLE a', 'select', 'update'],
      [
        'MERGE INTO tasks t USING people p ON t.id = p.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (p.id)',
        'merge',
        'delete',
        'insert',
      ],
      ['SELECT 1 INTO t', 'create table as', 'select'],
      ['SELECT 1 AS a INTO t UNION SELECT 2', 'create table as', 'select'],
      ['CREATE TABLE t AS SELECT 1', 'create table as', 'select'],
      ['CREATE MATERIALIZED VIEW t AS SELECT 1', 'create materialized view', 'select'],
      ['CREATE VIEW t AS SELECT 1', 'create view', 'select'],
      ['EXPLAIN DELETE FROM tasks', 'explain'],
      ['EXPLAIN ANALYZE DELETE FROM tasks', 'explain', 'delete'],
      ['EXPLAIN (COSTS off, ANALYZE on) DELETE FROM tasks', 'explain', 'delete'],
      ['EXPLAIN (ANALYZE false) DELETE FROM tasks', 'explain'],
      ['EXPLAIN (ANALYZE 0) DELETE FROM tasks', 'explain'],
      ['EXPLAIN (ANALYZE false, ANALYZE) DELETE FROM tasks', 'explain', 'delete'],
      ['PREPARE p AS DELETE FROM tasks', 'prepare', 'delete'],
      ['DECLARE c CURSOR FOR SELECT 1', 'declare', 'select'],
      ['COPY tasks FROM STDIN', 'copy', 'insert'],
      ['COPY tasks TO STDOUT', 'copy', 'select'],
      ['COPY (DELETE FROM tasks RETURNING *) TO STDOUT', 'copy', 'select', 'delete'],
      [
        'CREATE SCHEMA s CREATE TABLE t (a int) GRANT SELECT ON t TO postgres',
        'create schema',
        'create table',
        'grant',
      ],
      ['DROP TABLE tasks', 'drop table'],
      ['DROP MATERIALIZED VIEW stored_view', 'drop materialized view'],
      ['DROP FUNCTION shout(text)', 'drop function'],
      ['DROP EXTENSION hstore', 'drop extension'],
      ['ALTER TABLE tasks ADD COLUMN z int', 'alter table'],
      ['ALTER TABLE tasks RENAME TO x', 'alter table'],
      ['ALTER TABLE tasks RENAME COLUMN id TO x', 'alter table'],
      ['ALTER VIEW named SET SCHEMA hr', 'alter view'],
      ['ALTER INDEX tasks_pkey RENAME TO x', 'alter index'],
      ['ALTER USER postgres WITH SUPERUSER', 'alter role'],
      ['CREATE USER x', 'create role'],
      ['ALTER SYSTEM SET work_mem = 1', 'alter system'],
      ['ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC', 'alter default privileges'],
      ['CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$', 'create function'],
      ['CREATE PROCEDURE f() LANGUAGE sql AS $$SELECT 1$$', 'create procedure'],
      ['CREATE AGGREGATE a (text) (SFUNC = textcat, STYPE = text)', 'create aggregate'],
      ['CREATE OPERATOR ## (LEFTARG = text, FUNCTION = upper)', 'create operator'],
      ['CREATE TYPE t AS ENUM ()', 'create type'],
      ['GRANT SELECT ON tasks TO PUBLIC', 'grant'],
      ['GRANT pg_monitor TO postgres', 'grant'],
      ['REVOKE ALL ON tasks FROM PUBLIC', 'revoke'],
      ['TRUNCATE tasks', 'truncate'],
      ['VACUUM tasks', 'vacuum'],
      ['ANALYZE tasks', 'analyze'],
      ['REINDEX TABLE tasks', 'reindex'],
      ['REFRESH MATERIALIZED VIEW stored_view', 'refresh materialized view'],
      ['COMMENT ON TABLE tasks IS $$x$$', 'comment'],
      ['LOCK tasks', 'lock'],
      ['LISTEN c', 'listen'],
      ['NOTIFY c', 'notify'],
      ['DO $$BEGIN END$$', 'do'],
      ['CALL f()', 'call'],
      ['SET work_mem = 1', 'set'],
      ['SET ROLE x', 'set role'],
      ['SET ROLE NONE', 'set role'],
      ['RESET ROLE', 'reset'],
      ['SET role TO DEFAULT', 'reset'],
      ['SET SESSION AUTHORIZATION x', 'set session authorization'],
      ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'set transaction'],
      ['RESET work_mem', 'reset'],
      ['SHOW work_mem', 'show'],
      ['DISCARD ALL', 'discard'],
      ['BEGIN', 'begin'],
      ['START TRANSACTION', 'start transaction'],
      ['END', 'commit'],
      ['ABORT', 'rollback'],
      ['SAVEPOINT a', 'savepoint'],
      ['ROLLBACK TO a', 'rollback to'],
      ['PREPARE TRANSACTION $$x$$', 'prepare transaction'],
    ];
    for (const [sql, ...verbs] of cases) {
      expect((await one(sql)).verbs, sql).toEqual(verbs);
    }
  });

  test('relations that are read and written are told apart, and those behind views named as such', async () => {
    const cases: readonly (readonly [sql: string, reads: string[], writes: string[]])[] = [
      ['SELECT 1 FROM tasks t JOIN people p ON true', ['public.people', 'public.tasks'], []],
      ['SELECT (SELECT max(id) FROM people) FROM tasks', ['public.people', 'public.tasks'], []],
      ['SELECT * FROM harmless', ['public.harmless', 'public.people via harmless'], []],
      [
        'SELECT * FROM named_again',
        ['public.named via named_again', 'public.named_again', 'public.people via named_again'],
        [],
      ],
      ['INSERT INTO tasks SELECT * FROM tasks', ['public.tasks'], ['public.tasks']],
      ['UPDATE tasks SET id = 1 FROM people', ['public.people'], ['public.tasks']],
      ['DELETE FROM named', [], ['public.named', 'public.people via named']],
      ['TRUNCATE tasks, hr.people', [], ['hr.people', 'public.tasks']],
      ['TRUNCATE people CASCADE', [], ['public.people', 'public.tasks']],
      ['DROP TABLE tasks, hr.people', [], ['hr.people', 'public.tasks']],
      ['DROP TRIGGER fill ON audited', [], ['public.audited']],
      ['ALTER TABLE pay DETACH PARTITION pay_2024', [], ['public.pay', 'public.pay_2024']],
      [
        'ALTER TABLE former_people NO INHERIT everyone',
        [],
        ['public.everyone', 'public.former_people'],
      ],
      ['ALTER TABLE people RENAME COLUMN secret TO x', [], ['public.people']],
      ['ALTER TABLE people SET SCHEMA hr', [], ['public.people']],
      ['ALTER TABLE people OWNER TO postgres', [], ['public.people']],
      ['CREATE TABLE hr.fresh (a int REFERENCES people)', ['public.people'], ['hr.fresh']],
      ['CREATE TABLE fresh (LIKE people)', ['public.people'], ['public.fresh']],
      ['CREATE TEMP TABLE fresh AS SELECT 1', [], ['pg_temp.fresh']],
      ['CREATE VIEW fresh AS SELECT * FROM tasks', ['public.tasks'], ['public.fresh']],
      ['CREATE INDEX ON people (name)', [], ['public.people']],
      [
        'CREATE TRIGGER t AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fill()',
        [],
        ['public.tasks'],
      ],
      [
        'CREATE RULE r AS ON INSERT TO tasks DO ALSO DELETE FROM people',
        ['public.people'],
        ['public.tasks'],
      ],
      ['GRANT SELECT ON people TO PUBLIC', [], ['public.people']],
      ['COMMENT ON COLUMN people.secret IS $$x$$', [], ['public.people']],
      ['LOCK people', [], ['public.people']],
      ['VACUUM people', [], ['public.people']],
      ['COPY people FROM STDIN', [], ['public.people']],
      ['EXPLAIN DELETE FROM tasks', [], []],
      ['EXPLAIN ANALYZE DELETE FROM tasks', [], ['public.tasks']],
    ];
    for (const [sql, reads, writes] of cases) {
      const analysis = await one(sql);
      expect(names(analysis.reads), sql).toEqual(reads);
      expect(names(analysis.writes), sql).toEqual(writes);
    }
  });

  test('written columns are named, through views as well', async () => {
    const written = async (sql: string) => columnNames((await one(sql)).columnsWritten).sort();
    expect(await written("UPDATE people SET secret = 'x' WHERE id = 1")).toEqual(['people.secret']);
    expect(await written("UPDATE named SET code = 'x' WHERE nr = 1")).toEqual([
      'named.code',
      'people.secret',
    ]);
    expect(await written('INSERT INTO pay (id, pan) VALUES (1, 2)')).toEqual(['pay.id', 'pay.pan']);
    expect(await written('INSERT INTO pay VALUES (1)')).toEqual(['pay.id']);
    expect(await written('COPY pay (pan) FROM STDIN')).toEqual(['pay.pan']);
    expect(
      await written("MERGE INTO pay USING tasks t ON true WHEN MATCHED THEN UPDATE SET pan = 'x'"),
    ).toEqual(['pay.pan']);
  });

  test('an UPDATE or DELETE is qualified when its WHERE can leave rows out', async () => {
    const qualified = [
      'id = 1',
      'id = $1',
      '1 = id',
      'id IN (1, 2)',
      'id = ANY ($1)',
      'id BETWEEN 5 AND 9',
      'id > 5 AND id < 9',
      'done',
      'NOT done',
      'note IS NULL',
      "note LIKE 'a%'",
      'note LIKE $1',
      "lower(note) = 'x'",
      'hours > 10',
      "note ~ '^abc'",
      'done IS TRUE',
      'id = (SELECT 5)',
      "owner IN (SELECT id FROM people WHERE name = 'x')",
      'owner IN (SELECT id FROM people LIMIT 1)',
      'id IN (VALUES (1), (2))',
      "EXISTS (SELECT FROM people p WHERE p.id = owner AND p.name = 'x')",
      'id = 1 AND true',
      '(id = 1 OR id = 2)',
      'CURRENT OF c',
      'hours::int = 3',
      'id IS NOT DISTINCT FROM 3',
      'born > now()',
      // Rows of columns, as of composite keys.
      '(id, owner) = (1, 2)',
      'ROW(id, owner) = ROW($1, $2)',
      '(id, owner) IN ((1, 2), (2, 2))',
      "(owner, note) IN (VALUES (1, 'a'), (2, 'b'))",
      '(id, owner) > (5, 1) AND (id, owner) < (9, 1)',
      // What is computed from the column and fixed values.
      "coalesce(note, '') = 'x'",
      'coalesce(hours, 0) > 10',
      'coalesce(done, false)',
      "born + interval '90 days' < now()",
      "now() - born > interval '90 days'",
      "born + '30 days' < now()",
      "born + $1 * interval '1 day' < now()",
      'extract(year FROM born) = 2023',
      "date_part('month', born) = 3",
      "to_char(born, 'YYYY-MM') = '2023-01'",
      "born AT TIME ZONE 'UTC' < '2023-01-01'",
      "(born AT TIME ZONE 'UTC')::date = '2023-01-01'",
      "age(born) > interval '10 years'",
      "left(note, 2) = 'ab'",
      "substring(note FROM 1 FOR 2) IN ('ab', 'cd')",
      'length(note) = 4',
      'round(hours) = 3',
      "starts_with(note, 'ab')",
      "note ^@ 'ab'",
      "(note::jsonb ->> 'vip')::boolean",
      "(note::jsonb ->> 'vip')::boolean IS TRUE",
      "(note::jsonb)['vip'] = 'true'",
      "note::jsonb ?| ARRAY['a']",
      "(note = 'x') IS TRUE",
      'id < 5 OR id > 9',
      "note < 'b' OR note > 'c'",
      'done AND id = 1 OR NOT done AND id = 2',
      'hours > 0.5',
      'hours >= 2',
      'id BETWEEN SYMMETRIC 9 AND 5',
      // A query that does not look at the row gives one value, or lists.
      "owner = (SELECT id FROM people WHERE name = 'x')",
      'id = (SELECT max(t.id) FROM tasks t WHERE t.owner = 1)',
      "id IN (SELECT id FROM (SELECT id FROM tasks WHERE note = 'x') s)",
      'ctid = ANY (ARRAY(SELECT ctid FROM tasks WHERE done LIMIT 100))',
      'id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY note ORDER BY id) AS n FROM tasks) s WHERE n > 1)',
      'owner IN (SELECT owner FROM (SELECT owner, count(*) AS n FROM tasks GROUP BY owner) s WHERE n > 1)',
      "id IN (SELECT id FROM (SELECT t.*, lower(t.note) AS l FROM tasks t) s WHERE l = 'x')",
      "id IN (SELECT id FROM (SELECT * FROM (SELECT id, note FROM tasks) r) s WHERE note = 'x')",
    ];
    const unqualified = [
      // What the parts of a computation leave the same for all rows.
      'length(md5(id::text)) = 32',
      'length(id::text) > 0',
      "extract(month FROM date_trunc('year', born)) = 1",
      'extract(hour FROM born::date) = 0',
      "born::date::timestamp::time = '00:00'",
      "date_trunc('day', born)::time = '00:00'",
      "(born + interval '1 day')::time = '00:00'",
      "to_char(date_trunc('year', born), 'MM') = '01'",
      "to_char(born, '-') = '-'",
      "to_char(born, 'HH24') = '00'",
      "substr(born::text, 5, 1) = '-'",
      "born::text LIKE '%:%'",
      "note::jsonb ->> 'nokey' IS NOT DISTINCT FROM NULL",
      'true',
      '1 = 1',
      'true OR id = 1',
      'id = id',
      'id IS NOT NULL',
      'id IS NOT NULL OR id IS NULL',
      'id > 0',
      'id >= 0',
      'id > -2147483648',
      'id < 2147483647',
      '0 < id',
      '$1',
      '$1 = 1',
      "'yes'::bool",
      'coalesce(NULL, true)',
      'random() >= 0',
      'id <> 5',
      'id NOT IN (5)',
      'NOT id = 5',
      "note LIKE '%'",
      "note LIKE '%%'",
      "note NOT LIKE 'x'",
      "note ~ '.*'",
      "note >= ''",
      'id IN (SELECT id FROM tasks)',
      'id = owner',
      'id + 0 = id',
      'id * 0 = 0',
      'EXISTS (SELECT 1)',
      'EXISTS (SELECT FROM people p WHERE p.id = owner)',
      'id = 1 OR id <> 1',
      'id IN (1, id)',
      'id = ANY (ARRAY[id])',
      'owner IN (SELECT id FROM people)',
      'NOT (id = 1 AND id = 2)',
      'id BETWEEN -1 AND 2147483647',
      'length(note) >= 0',
      '(SELECT true)',
      'id > 1 - 1000',
      'hours IS DISTINCT FROM 5',
      'id >= 1',
      '1 <= id',
      'id BETWEEN 1 AND 2147483647',
      'id BETWEEN SYMMETRIC 2147483647 AND 1',
      'id < 5 OR id >= 5',
      'id <= 3 OR (id > 3 OR id = 9)',
      'id < 7 OR id > 5',
      'id < $1 OR id >= $1',
      "note < 'b' OR note >= 'b'",
      'hours > 5 OR 5.0 > hours OR hours = 5',
      'done OR NOT done',
      'done IS TRUE OR done IS FALSE',
      'done = true OR done = false',
      'done OR done = false',
      'done IN (true, false)',
      'id::boolean = true',
      'id::boolean',
      "tableoid = 'tasks'::regclass",
      "tableoid::regclass::text = 'tasks'",
      'xmax = 0',
      "ctid >= '(0,0)'",
      "date_trunc('millennium', born) = '2001-01-01'",
      'extract(century FROM born) = 21',
      "to_char(born, 'x') = 'x'",
      "left(note, 0) = ''",
      "substr(note, 99, 9) IN ('', 'x')",
      'round(id, -10) = 0',
      'age(born, born) = $1',
      'coalesce(id, 1) = id',
      'coalesce(NULL, id) = id',
      'id - id = 0',
      "id + 'NaN'::float8 = 'NaN'",
      'id::float8 + 1e300 = 1e300',
      'id::float8 + power(10, 300) = power(10, 300)',
      "born + interval 'infinity' = 'infinity'",
      "left(note, 0) = ''||''",
      'left(note, 0) = $1',
      "left(note, 0) < 'a'",
      `left(note, 0) = ANY ('{"",a}')`,
      "to_char(id, 'YYYY') = 'YYYY'",
      "coalesce(note::jsonb ->> 'none', 'x') = 'x'",
      "(note::text[])[1:0] = '{}'",
      'id + owner = owner + id',
      '(id, 1) = (id, 1)',
      '(id, 1) IN ((id, 1), (5, 2))',
      '(1, id) >= (1, 1)',
      '(id, 1) > (0, 1)',
      '(1, 1) IN (VALUES (1, 1))',
      "starts_with(note, '')",
      "note ^@ ''",
      'length(note) > 0',
      // What looks at the row is another value for each, however it is dressed.
      'id = (SELECT t.id FROM tasks t WHERE t.id = tasks.id)',
      'id = (SELECT id)',
      'ctid = (SELECT ctid)',
      'id = (SELECT id + 0 * (SELECT count(*) FROM tasks t))',
      'id = (SELECT id FROM (SELECT 1) s (x) WHERE EXISTS (SELECT FROM tasks t))',
      'id = (SELECT y.k FROM tasks t, (SELECT id AS k) y WHERE t.id = 1)',
      'id = (SELECT g FROM generate_series(id, id) g, tasks t WHERE t.id = 1)',
      'id = (SELECT tasks.id + 0 * (SELECT count(*) FROM tasks))',
      'id = (WITH w AS (SELECT id AS k) SELECT k FROM w, tasks t WHERE t.id = 1)',
      'id = ANY (ARRAY(SELECT id FROM tasks))',
      'id = (WITH people AS (SELECT 1 AS a) SELECT id FROM people)',
      // A column that is the same for all rows of a query leaves none of these out.
      'id IN (SELECT id FROM (SELECT id, 1 AS c FROM tasks) s WHERE s.c = 1)',
      'id IN (SELECT id FROM (SELECT id, 1 FROM tasks) s (id, c) WHERE c = 1)',
      'id IN (SELECT id FROM (SELECT * FROM (SELECT id, 1 AS c FROM tasks) r) s WHERE c = 1)',
      'id IN (SELECT id FROM (SELECT id, 5 AS c FROM people UNION ALL SELECT id, 1 FROM tasks) s WHERE c = 1)',
      'id IN (SELECT id FROM (SELECT id, id AS c FROM people UNION ALL SELECT id, 1 FROM tasks) s WHERE c = 1)',
      'id IN (SELECT id FROM (SELECT id, id * 0 AS z FROM tasks) s WHERE z = 0)',
      'id IN (SELECT id FROM (SELECT id, max(1) OVER () AS m FROM tasks) s WHERE m = 1)',
      'EXISTS (SELECT FROM (SELECT id, true AS yes FROM tasks) s WHERE s.id = tasks.id AND s.yes)',
      'id IN (WITH s AS (SELECT id, 1 AS c FROM tasks) SELECT id FROM s WHERE c = 1)',
      'id IN (SELECT id FROM tasks ORDER BY id * 0 FETCH FIRST 1 ROW WITH TIES)',
      'ctid = (SELECT ctid FROM harmless LIMIT 1)',
      'id = ANY (ARRAY(SELECT tasks.id LIMIT 1))',
    ];
    for (const where of qualified) {
      const sql = `UPDATE tasks SET note = 'x' WHERE ${where}`;
      expect((await one(sql)).qualified, sql).toBe(true);
    }
    for (const where of unqualified) {
      const sql = `DELETE FROM tasks WHERE ${where}`;
      expect((await one(sql)).qualified, sql).toBe(false);
    }
  });

  test('joins, CTEs and MERGE count as qualified only when their source is narrow', async () => {
    const cases: readonly (readonly [sql: string, qualified: boolean])[] = [
      ['DELETE FROM tasks', false],
      ['DELETE FROM tasks t USING people p WHERE p.id = t.owner', false],
      ["DELETE FROM tasks t USING people p WHERE p.id = t.owner AND p.name = 'x'", true],
      ["UPDATE tasks t SET note = v.n FROM (VALUES (1, 'a')) v (id, n) WHERE t.id = v.id", true],
      [
        'UPDATE tasks t SET note = u.n FROM unnest($1::int[], $2::text[]) AS u (id, n) WHERE t.id = u.id',
        true,
      ],
      ['UPDATE tasks t SET id = 1 FROM (SELECT id FROM people) v WHERE t.id = v.id', false],
      [
        'WITH k AS (SELECT id FROM people WHERE id = 1) DELETE FROM tasks t USING k WHERE t.owner = k.id',
        true,
      ],
      ['WITH k AS (SELECT id FROM people) DELETE FROM tasks t USING k WHERE t.owner = k.id', false],
      ['WITH d AS (DELETE FROM tasks) DELETE FROM people WHERE id = 1', false],
      [
        "WITH k AS (SELECT id FROM tasks WHERE note = 'x') DELETE FROM tasks WHERE id IN (SELECT id FROM k)",
        true,
      ],
      [
        "WITH k AS (SELECT * FROM tasks WHERE note = 'x') DELETE FROM tasks WHERE id IN (SELECT id FROM k)",
        true,
      ],
      // k has no column of that name: it is that of the target.
      ['WITH k AS (SELECT 1 AS a) DELETE FROM tasks WHERE id IN (SELECT id FROM k)', false],
      ['WITH k AS (SELECT id FROM tasks) DELETE FROM tasks WHERE id IN (SELECT id FROM k)', false],
      [
        'WITH RECURSIVE k(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM k WHERE id < 10000000) DELETE FROM tasks t USING k WHERE t.id = k.id',
        false,
      ],
      [
        "UPDATE tasks t SET note = c.n FROM (SELECT unnest($1::int[]) AS id, unnest(ARRAY['a', 'b']) AS n) c WHERE c.id = t.id",
        true,
      ],
      [
        'UPDATE tasks t SET id = 1 FROM (SELECT unnest(array_agg(id)) AS id FROM tasks) c WHERE c.id = t.id',
        false,
      ],
      [
        'UPDATE tasks t SET id = 1 FROM (SELECT generate_series(1, 100000) AS id) c WHERE c.id = t.id',
        false,
      ],
      [
        'UPDATE tasks t SET id = 1 FROM (SELECT id FROM tasks WHERE unnest(ARRAY[1, 2]) > 0) c WHERE c.id = t.id',
        false,
      ],
      ['MERGE INTO tasks t USING people p ON t.owner = p.id WHEN MATCHED THEN DELETE', false],
      [
        'MERGE INTO tasks t USING (SELECT 1 AS k) s ON true WHEN MATCHED THEN UPDATE SET id = 1',
        false,
      ],
      [
        "MERGE INTO tasks t USING (VALUES (1, 'a')) v (id, n) ON t.id = v.id WHEN MATCHED THEN UPDATE SET note = v.n",
        true,
      ],
      [
        "MERGE INTO tasks t USING (VALUES (1, 'a')) v (id, n) ON t.id = v.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        false,
      ],
      [
        'MERGE INTO tasks t USING people p ON t.owner = p.id WHEN MATCHED AND t.id = 5 THEN DELETE',
        true,
      ],
    ];
    for (const [sql, expected] of cases) {
      expect((await one(sql)).qualified, sql).toBe(expected);
    }
    expect((await one('SELECT 1')).qualified).toBeUndefined();
    const upsert = (rows: string): string =>
      `${rows} ON CONFLICT (id) DO UPDATE SET note = excluded.note`;
    const upserts: readonly (readonly [sql: string, qualified: boolean | undefined])[] = [
      [upsert("INSERT INTO tasks (id, note) VALUES (1, 'x'), ($1, 'y')"), true],
      [upsert('INSERT INTO tasks DEFAULT VALUES'), true],
      [upsert("INSERT INTO tasks (id, note) VALUES (1, jsonb_build_object('a', 1)::text)"), true],
      [upsert("INSERT INTO tasks (id, note) VALUES (1 + abs(generate_series(1, 9)), 'x')"), false],
      [upsert("INSERT INTO tasks (id, note) SELECT id, 'x' FROM people WHERE id = 7"), true],
      [upsert("INSERT INTO tasks (id, note) SELECT unnest($1::int[]), 'x'"), true],
      [upsert("INSERT INTO tasks (id, note) SELECT unnest(array_agg(id)), 'x' FROM tasks"), false],
      [upsert("INSERT INTO tasks (id, note) SELECT id, 'x' FROM tasks"), false],
      [upsert("INSERT INTO tasks (id, note) SELECT id, 'x' FROM tasks WHERE true"), false],
      [upsert("INSERT INTO tasks (id, note) SELECT g, 'x' FROM generate_series(1, 9) g"), false],
      [upsert("WITH a AS (SELECT id FROM tasks) INSERT INTO tasks SELECT id, 'x' FROM a"), false],
      [upsert("INSERT INTO tasks (id, note) VALUES (generate_series(1, 1000000), 'x')"), false],
      [upsert('INSERT INTO tasks (id, note) TABLE people'), false],
      [upsert("INSERT INTO tasks (id, note) VALUES ((show_all()).id, 'x')"), false],
      ['UPDATE tasks SET note = NULL WHERE id IN (SELECT (show_all()).id LIMIT 5)', false],
      ['INSERT INTO tasks (id) SELECT id FROM people ON CONFLICT DO NOTHING', undefined],
    ];
    for (const [sql, expected] of upserts) {
      expect((await one(sql)).qualified, sql).toBe(expected);
    }
    expect((await one('EXPLAIN DELETE FROM tasks')).qualified).toBeUndefined();
  });

  test('a test of something beside the target narrows nothing, unless the target is tied to it', async () => {
    const all = [
      'FROM people p WHERE p.id = 1',
      'FROM (VALUES (1)) v (k) WHERE v.k = 1',
      'FROM (VALUES (1)) v (k) WHERE k = 1',
      'FROM people p, pay WHERE p.id = 1 AND pay.pan = p.secret',
      'FROM people p, LATERAL (SELECT p.id AS k) s WHERE s.k = tasks.owner',
      'FROM people p, LATERAL (SELECT name AS k) s WHERE s.k = tasks.note',
      'FROM people p LEFT JOIN pay ON p.id = 1 WHERE tasks.owner = p.id',
      'FROM unnest((SELECT array_agg(id) FROM tasks)) v WHERE v = tasks.id',
      'WHERE EXISTS (SELECT FROM people p WHERE p.id = 1)',
      'WHERE EXISTS (SELECT FROM tasks t WHERE t.id = 1)',
      'WHERE EXISTS (SELECT FROM tasks WHERE tasks.id = 1)',
      'WHERE EXISTS (SELECT count(*) FROM people p WHERE p.id = tasks.owner AND p.id = 1)',
      'WHERE EXISTS (SELECT 1 FROM people p WHERE p.id = tasks.owner AND p.id = 1 HAVING true)',
      'WHERE id = (SELECT tasks.id)',
      'WHERE id = (SELECT hours FROM people LIMIT 1)',
      'WHERE id IN (SELECT tasks.id)',
      'WHERE id IN (VALUES (tasks.id))',
      'WHERE id IN (SELECT t.id FROM tasks t, people p WHERE p.id = 1)',
      'WHERE id IN (SELECT generate_series(1, 1000000))',
      'WHERE id IN (SELECT 0 + generate_series(1, 1000000))',
      'WHERE id IN (SELECT unnest((SELECT array_agg(id) FROM tasks)))',
      'WHERE id IN (SELECT id FROM tasks LIMIT ALL)',
      'WHERE id IN (SELECT id FROM tasks LIMIT 1000000)',
      'WHERE id = ANY ((SELECT array_agg(id) FROM tasks)::int[])',
      'WHERE id BETWEEN (SELECT min(id) FROM tasks) AND (SELECT max(id) FROM tasks)',
      'WHERE id <= (SELECT max(id) FROM tasks)',
    ];
    const some = [
      "FROM people p WHERE p.id = owner AND mail = 'a@b'",
      "FROM people p JOIN pay ON pay.pan = p.secret WHERE pay.pan = '4' AND tasks.owner = p.id",
      'FROM people p LEFT JOIN pay ON pay.pan = p.secret WHERE p.id = 1 AND tasks.owner = p.id',
      'FROM people p, (VALUES (1)) v (k) WHERE v.k = p.id AND p.id = tasks.owner',
      'FROM people p WHERE tasks.id = 7 AND p.id = owner',
      'FROM unnest($1::int[]) WHERE unnest = tasks.id',
      'FROM (SELECT t.id FROM tasks t WHERE NOT t.done ORDER BY t.id LIMIT 10 FOR UPDATE) b WHERE b.id = tasks.id',
      "WHERE ctid = '(0,1)'",
      "WHERE EXISTS (SELECT 1 FROM people WHERE people.id = owner AND name = 'x')",
      'WHERE EXISTS (SELECT FROM (VALUES (1), (2)) v (k) WHERE v.k = tasks.id)',
      "WHERE owner IN (SELECT p.id FROM people p JOIN pay ON pay.pan = p.secret WHERE p.name = 'x')",
      "WHERE id IN (SELECT t.id FROM tasks t JOIN people p USING (id) WHERE p.name = 'x')",
      'WHERE id = (SELECT max(id) FROM tasks)',
      'WHERE id IN (SELECT max(id) FROM tasks WHERE note = $1 GROUP BY owner)',
    ];
    for (const [texts, expected] of [
      [all, false],
      [some, true],
    ] as const) {
      for (const text of texts) {
        const sql = `UPDATE tasks SET note = 'x' ${text}`;
        expect((await one(sql)).qualified, sql).toBe(expected);
      }
    }
    const deep = `${'EXISTS (SELECT FROM people a, people b, people c WHERE a.id = tasks.id AND '.repeat(40)}a.id = 1${')'.repeat(40)}`;
    const nest = (open: string, close: string, inner: string) =>
      `id IN (${open.repeat(120)}${inner}${close.repeat(120)})`;
    const before = performance.now();
    for (const where of [
      deep,
      nest('SELECT s.*, s.* FROM (', ') s', 'SELECT id FROM tasks'),
      nest(
        'SELECT id, c, c AS d FROM (',
        ') s WHERE c = 1 AND c = d',
        'SELECT id, 1 AS c, 1 AS d FROM tasks',
      ),
      nest('SELECT id FROM tasks WHERE id IN (', ')', 'SELECT id'),
      nest('WITH s AS (', ') SELECT *, 1 AS c FROM s', 'SELECT id FROM tasks'),
    ]) {
      expect((await one(`DELETE FROM tasks WHERE ${where}`)).qualified).toBe(false);
    }
    expect(performance.now() - before).toBeLessThan(5000);
  });

  test('stars of stars are not followed past what the server takes', async () => {
    const before = performance.now();
    for (const [open, close] of [
      ['SELECT s.*, s.* FROM (', ') s'],
      ['SELECT ROW((s.r).*, (s.r).*) AS r FROM (', ') s'],
    ] as const) {
      const sql = `${open.repeat(40)}SELECT ROW(1, 2) AS r${close.repeat(40)}`;
      const [analysis] = await bench.analyse(sql);
      expect(analysis?.opaque[0]?.reason).toBe('lists and rows can have at most 1664 entries');
      await expect(bench.really(sql)).rejects.toThrow('can have at most 1664 entries');
    }
    const wide = Array.from({ length: 1664 }, (_, index) => `${index} AS c${index}`).join(', ');
    expect((await one(`SELECT s.* FROM (SELECT ${wide}) s`)).opaque).toEqual([]);
    expect(performance.now() - before).toBeLessThan(5000);
  });

  test('rows of the same row twice, and so on, are looked at once', async () => {
    const rows = `${'SELECT ROW(r, r) AS r FROM ('.repeat(40)}SELECT id AS r FROM tasks${') s'.repeat(40)}`;
    const before = performance.now();
    for (const sql of [
      `SELECT count(*) FROM (${rows}) s WHERE coalesce(r, r) IS NULL`,
      `SELECT count(*) FROM (SELECT r FROM (${rows}) a UNION ALL SELECT r FROM (${rows}) b) c`,
      `SELECT count(*) FROM (SELECT CASE WHEN true THEN a.r ELSE b.r END AS r FROM (${rows}) a, (${rows}) b) c`,
    ]) {
      expect((await one(sql)).opaque, sql).toEqual([]);
    }
    expect(performance.now() - before).toBeLessThan(5000);
  });

  test('a query of WITH is narrow by what its names mean where it stands', async () => {
    const chain = Array.from(
      { length: 60 },
      (_, i) => `c${i + 1} AS (SELECT a.id FROM c${i} a, c${i} b)`,
    );
    const cases: readonly (readonly [sql: string, qualified: boolean])[] = [
      [
        'WITH RECURSIVE k(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM k WHERE id < 9) DELETE FROM tasks t USING k WHERE t.owner = k.id',
        true,
      ],
      [
        'WITH RECURSIVE k(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM k) DELETE FROM tasks t USING k WHERE t.owner = k.id',
        false,
      ],
      [
        'WITH RECURSIVE a AS (SELECT id FROM b), b AS (SELECT id FROM a) DELETE FROM tasks t USING a WHERE t.owner = a.id',
        false,
      ],
      // Within the query of x the name a is another one, which b does not use.
      [
        'WITH a AS (SELECT id FROM people), b AS (SELECT id FROM a) DELETE FROM tasks t USING (WITH a AS (SELECT 1 AS id) SELECT id FROM b) x WHERE t.owner = x.id',
        false,
      ],
      [
        'WITH a AS (SELECT 1 AS id), b AS (SELECT id FROM a) DELETE FROM tasks t USING b WHERE t.owner = b.id',
        true,
      ],
      [
        `WITH c0 AS (SELECT 1 AS id), ${chain.join(', ')} DELETE FROM tasks t USING c60 WHERE t.owner = c60.id`,
        true,
      ],
    ];
    for (const [sql, expected] of cases) {
      expect((await one(sql)).qualified, sql).toBe(expected);
    }
  });

  test('what a statement does with values besides carrying them is told, by kind and place', async () => {
    const cases: readonly (readonly [sql: string, ...uses: string[]])[] = [
      ["SELECT id FROM people WHERE secret = 'x'", 'computed secret: operator ='],
      ['SELECT id FROM people ORDER BY secret', 'computed secret: ORDER BY'],
      ['SELECT id AS x, secret FROM people ORDER BY 2', 'computed secret: ORDER BY'],
      ['SELECT count(*) FROM people GROUP BY secret', 'grouped secret: GROUP BY'],
      ['SELECT secret AS g, count(*) FROM people GROUP BY g', 'grouped secret: GROUP BY'],
      ['SELECT DISTINCT secret FROM people', 'grouped secret: DISTINCT'],
      ['SELECT count(DISTINCT secret) FROM people', 'grouped secret: count(DISTINCT)'],
      ['SELECT count(secret) FROM people', 'null-tested secret: count()'],
      ['SELECT id FROM people WHERE secret IS NOT NULL', 'null-tested secret: IS NULL'],
      ['SELECT count(*) FILTER (WHERE secret IS NULL) FROM people', 'null-tested secret: IS NULL'],
      ['SELECT rank() OVER (ORDER BY secret) FROM people', 'computed secret: ORDER BY of a window'],
      ['SELECT count(*) OVER (PARTITION BY secret) FROM people', 'grouped secret: PARTITION BY'],
      ["SELECT CASE WHEN secret LIKE 'a%' THEN 1 END FROM people", 'computed secret: LIKE'],
      [
        'SELECT EXISTS (SELECT FROM people WHERE length(secret) > 3)',
        'computed secret: function length()',
      ],
      ["DELETE FROM people WHERE secret LIKE '7%'", 'computed secret: LIKE'],
      [
        "INSERT INTO people (id, secret) VALUES (1, 'x') ON CONFLICT (secret) DO NOTHING",
        'computed secret: ON CONFLICT',
      ],
      ["EXPLAIN SELECT 1 FROM people WHERE secret = 'x'", 'computed secret: operator ='],
      ["COPY (SELECT 1 FROM people WHERE secret = 'x') TO STDOUT", 'computed secret: operator ='],
      ["DECLARE c CURSOR FOR SELECT 1 FROM named WHERE code = 'x'", 'computed secret: operator ='],
      ['SELECT secret::int FROM people', 'computed secret: a cast to int4'],
      ['SELECT secret COLLATE "C" FROM people'],
      // Carried, or a total function of a string: nothing that the masked value would not show.
      ['SELECT secret, (SELECT secret), ROW(id, secret), ARRAY[secret] FROM people'],
      [
        "SELECT lower(secret), upper(left(secret, 3)), coalesce(secret, ''), secret || 'x' FROM people",
      ],
      [
        'SELECT CASE WHEN id > 3 THEN secret END, first_value(secret) OVER (ORDER BY id) FROM people',
      ],
      ['SELECT max(secret), array_agg(secret) FROM people GROUP BY id', 'grouped id: GROUP BY'],
      ['SELECT count(*), count(people) FROM people'],
      ['SELECT id FROM recursive_view CROSS JOIN harmless'],
      // Neither total nor of one string.
      ["SELECT lower(secret || repeat('x', 9)) FROM people", 'computed secret: operator ||'],
      ['SELECT replace(secret, $1, $2) FROM people', 'computed secret: function replace()'],
      ["SELECT substring(secret, '^a') FROM people", 'computed secret: function substring()'],
      ["SELECT nullif(secret, 'x') FROM people", 'computed secret: NULLIF'],
      ["SELECT coalesce(secret, secret, '') FROM people", 'computed secret: COALESCE'],
    ];
    for (const [sql, ...uses] of cases) {
      const found = await one(sql);
      const words = (kind: string, list: StatementAnalysis['columnsComputed'] = []) =>
        list
          .filter(
            ({ column }) =>
              column.name === 'people' && (column.column === 'secret' || kind === 'grouped'),
          )
          .map(({ column, by }) => `${kind} ${column.column}: ${by}`);
      const all = [
        ...words('computed', found.columnsComputed),
        ...words('grouped', found.columnsGrouped),
        ...words('null-tested', found.columnsNullTested),
      ];
      expect(all, sql).toEqual(uses);
    }
  });

  test('settings are reported with their literal value, and unknown names as such', async () => {
    const settings = async (sql: string) => (await one(sql)).protocol.settings;
    expect(await settings('SET Search_Path TO a, "B"')).toEqual([
      { name: 'search_path', value: 'a, B', local: false },
    ]);
    expect(await settings("SET LOCAL role = 'x'")).toEqual([
      { name: 'role', value: 'x', local: true },
    ]);
    expect(await settings('RESET role')).toEqual([
      { name: 'role', value: undefined, local: false, reset: true },
    ]);
    expect(await settings('SET work_mem TO DEFAULT')).toEqual([
      { name: 'work_mem', value: undefined, local: false, reset: true },
    ]);
    expect(await settings('RESET ALL')).toEqual([
      { name: 'all', value: undefined, local: false, reset: true },
    ]);
    expect(await settings('DISCARD ALL')).toEqual([
      { name: 'all', value: undefined, local: false, reset: true },
    ]);
    expect(await settings("SET NAMES 'SJIS'")).toEqual([
      { name: 'client_encoding', value: 'SJIS', local: false },
    ]);
    expect(await settings("SELECT set_config('Role', 'x', true)")).toEqual([
      { name: 'role', value: 'x', local: true },
    ]);
    expect(await settings("SELECT pg_catalog.set_config('role', name, false) FROM people")).toEqual(
      [{ name: 'role', value: undefined, local: false }],
    );
    const computed = await one("SELECT set_config('ro' || 'le', 'x', false)");
    expect(computed.protocol.settings).toEqual([{ name: '*', value: undefined, local: false }]);
    expect(computed.opaque).not.toEqual([]);
    const direct = await one(
      "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
    );
    expect(direct.protocol.settings).toEqual([{ name: '*', value: undefined, local: false }]);
    expect(direct.opaque).not.toEqual([]);
  });

  test('settings that change parsing, identity, names or protections are known', () => {
    expect(settingEffect('standard_conforming_strings')).toBe('parsing');
    expect(settingEffect('CLIENT_ENCODING')).toBe('encoding');
    expect(settingEffect('session_authorization')).toBe('identity');
    expect(settingEffect('search_path')).toBe('names');
    expect(settingEffect('session_replication_role')).toBe('guard');
    expect(settingEffect('debug_print_plan')).toBe('messages');
    expect(settingEffect('statement_timeout')).toBeUndefined();
  });

  test('server files, programs and other servers are reported as such', async () => {
    const access = async (sql: string) => (await one(sql)).serverAccess;
    expect(await access("COPY tasks TO PROGRAM 'x'")).toEqual(['COPY … TO PROGRAM']);
    expect(await access("COPY tasks FROM '/x'")).toEqual(['COPY … FROM a server file']);
    expect(await access("SELECT pg_read_file('x')")).toEqual(['pg_read_file() (server files)']);
    expect(await access('SELECT "pg_catalog"."pg_ls_dir"($$x$$)')).toEqual([
      'pg_ls_dir() (server files)',
    ]);
    expect(await access('SELECT upper(U&"pg\\005fread\\005ffile"(\'x\'))')).toEqual([
      'pg_read_file() (server files)',
    ]);
    expect(await access("SELECT lo_export(1, 'x')")).toEqual(['lo_export() (server files)']);
    expect(await access('SELECT * FROM pg_file_settings')).toEqual([
      'pg_file_settings (server files)',
    ]);
    expect(await access('SELECT pg_reload_conf()')).toEqual(['pg_reload_conf() (administration)']);
    expect(await access("LOAD 'x'")).toEqual(['LOAD']);
    expect(await access('CREATE EXTENSION x')).toEqual(['CREATE EXTENSION']);
    expect(
      await access("CREATE FUNCTION f(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'"),
    ).toEqual(['CREATE FUNCTION … LANGUAGE internal']);
    expect(await access("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p")).toEqual([
      'CREATE SUBSCRIPTION',
    ]);
    expect(await access('SELECT 1')).toEqual([]);
  });

  test('cursors and prepared statements bring the result of the statement behind the name', async () => {
    const prepared = await one('PREPARE p (int) AS SELECT secret FROM people WHERE id = $1');
    expect(prepared.protocol.prepare).toBe('p');
    const context = {
      prepared: (name: string) => (name === 'p' ? confirmed(prepared) : undefined),
    };
    const execute = await one('EXECUTE p (1)', context);
    expect(execute).toMatchObject({
      verbs: ['execute', 'select'],
      opaque: [],
      protocol: { execute: 'p' },
    });
    expect(execute.outputs?.map((output) => output.name)).toEqual(['secret']);
    expect(columnNames(execute.columnsEvaluated)).toContain('people.secret');
    expect((await one('EXECUTE q (1)', context)).opaque).not.toEqual([]);
    expect((await one('EXECUTE p (get_secret(1))', context)).opaque).not.toEqual([]);
    expect(
      columnNames((await one('CREATE TABLE x AS EXECUTE p (1)', context)).columnsStored),
    ).toContain('people.secret');
    expect((await one('EXPLAIN ANALYZE EXECUTE p (1)', context)).verbs).toEqual([
      'explain',
      'select',
      'execute',
    ]);

    const declared = await one('DECLARE "C" CURSOR FOR SELECT secret FROM people');
    expect(declared.protocol.declareCursor).toBe('C');
    const cursors = { cursor: (name: string) => (name === 'C' ? confirmed(declared) : undefined) };
    expect((await one('FETCH ALL "C"', cursors)).outputs?.map((output) => output.name)).toEqual([
      'secret',
    ]);
    expect((await one('FETCH ALL c', cursors)).opaque).not.toEqual([]);
    expect((await one('MOVE 1 "C"', cursors)).outputs).toBeUndefined();
    expect((await one('DEALLOCATE ALL')).protocol.deallocate).toBeNull();
    expect((await one('DEALLOCATE p')).protocol.deallocate).toBe('p');
    expect((await one('CLOSE ALL')).protocol.closeCursor).toBeNull();
    expect((await one('DISCARD ALL')).protocol).toMatchObject({
      deallocate: null,
      closeCursor: null,
    });
  });

  test('later statements of a text see the names that earlier ones made', async () => {
    const [, fetch] = await bench.analyse(
      'DECLARE c CURSOR FOR SELECT secret FROM people; FETCH c',
    );
    expect(fetch?.outputs?.map((output) => output.name)).toEqual(['secret']);
    const old = confirmed(await one('PREPARE p AS SELECT 1 AS harmless'));
    const known = { prepared: () => old };
    const [, execute] = await bench.analyse(
      'PREPARE p AS SELECT secret FROM people; EXECUTE p',
      known,
    );
    expect(execute?.outputs?.map((output) => output.name)).toEqual(['secret']);
    const [, gone] = await bench.analyse('DEALLOCATE p; EXECUTE p', known);
    expect(gone?.opaque).not.toEqual([]);
  });

  test('after DDL, user code or a changed search_path the rest of a text is not traced by names', async () => {
    const last = async (sql: string) => (await bench.analyse(sql)).at(-1)?.opaque.length;
    expect(await last('CREATE TABLE x (); SELECT id FROM tasks')).toBe(1);
    expect(await last('ALTER TABLE people RENAME TO x; SELECT id FROM public.tasks')).toBe(1);
    expect(await last('SET search_path = hr; SELECT secret FROM people')).toBe(1);
    expect(
      await last('SELECT set_config($$search_path$$, $$hr$$, false); SELECT secret FROM people'),
    ).toBe(1);
    expect(await last('ROLLBACK; SELECT secret FROM people')).toBe(1);
    expect(await last("INSERT INTO audited VALUES (1, 'x'); SELECT id FROM tasks")).toBeGreaterThan(
      0,
    );
    expect(await last('BEGIN; SELECT id FROM tasks; COMMIT; SELECT id FROM tasks')).toBe(0);
    expect(await last('SET search_path = hr; SELECT id FROM public.tasks')).toBe(0);
    expect(await last('CREATE TABLE x (); SELECT 1')).toBe(0);
    expect((await one('SELECT id FROM tasks', { unsettled: true })).opaque).toHaveLength(1);
  });

  test('an unknown search_path leaves only qualified relations, and functions that are nowhere redefined', async () => {
    const context = { searchPath: undefined };
    expect((await one('SELECT id FROM tasks', context)).opaque).toHaveLength(1);
    expect((await one('SELECT lower(note) FROM public.tasks', context)).opaque).toEqual([]);
    expect((await one('SELECT length(name) FROM public.people', context)).opaque).toHaveLength(1);
    expect(
      (await one('SELECT pg_catalog.length(name) FROM public.people', context)).opaque,
    ).toEqual([]);
    expect(
      (await one("SELECT id FROM public.tasks WHERE note = 'x'", context)).opaque,
    ).toHaveLength(1);
    expect(
      (await one("SELECT id FROM public.tasks WHERE note OPERATOR(pg_catalog.=) 'x'", context))
        .opaque,
    ).toEqual([]);
  });

  test('an unknown relation or function is named as missing, so that a fresh catalog can be asked', async () => {
    expect((await one('SELECT * FROM nowhere')).opaque[0]).toMatchObject({
      missing: 'nowhere',
      location: 14,
    });
    expect((await one('SELECT nothing(1)')).opaque[0]).toMatchObject({ missing: 'nothing' });
    expect((await one('SELECT 1 FROM people WHERE nope = 1')).opaque[0]?.reason).toContain('nope');
  });

  test('ranges of statements are bytes of the text', async () => {
    const text = "SELECT 'ü';  SELECT 2";
    const analyses = await bench.analyse(text);
    const bytes = Buffer.from(text);
    expect(analyses.map(({ start, end }) => bytes.subarray(start, end).toString().trim())).toEqual([
      "SELECT 'ü'",
      'SELECT 2',
    ]);
  });
});
