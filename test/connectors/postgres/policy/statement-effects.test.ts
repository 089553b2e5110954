import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatementAnalysis } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import { settingEffect } from '../../../../src/connectors/postgres/policy/facts/settings-table.ts';
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
      ['ALTER USER postgres WITH SUPERUSER', 'alter role', 'alter own login'],
      ['ALTER USER reader WITH SUPERUSER', 'alter role', 'alter own login'],
      ['ALTER USER reader CONNECTION LIMIT 3', 'alter role'],
      ['CREATE USER x', 'create role', 'alter own login'],
      ['CREATE ROLE x', 'create role'],
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
      [
        'TRUNCATE people CASCADE',
        [],
        ['public.former_people via people', 'public.people', 'public.tasks'],
      ],
      ['DROP TABLE tasks, hr.people', [], ['hr.people', 'public.tasks']],
      ['DROP TRIGGER fill ON audited', [], ['public.audited']],
      ['ALTER TABLE pay DETACH PARTITION pay_2024', [], ['public.pay', 'public.pay_2024']],
      [
        'ALTER TABLE former_people NO INHERIT everyone',
        [],
        ['public.everyone', 'public.former_people'],
      ],
      [
        'ALTER TABLE people RENAME COLUMN secret TO x',
        [],
        ['public.former_people via people', 'public.people'],
      ],
      ['ALTER TABLE ONLY people RENAME COLUMN secret TO x', [], ['public.people']],
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
    const merge = 'MERGE INTO pay USING (SELECT 1 AS a, $1 AS b) t ON true WHEN NOT MATCHED THEN';
    expect(await written(`${merge} INSERT (id, pan) VALUES (t.*)`)).toEqual(['pay.id', 'pay.pan']);
  });

  test('stars of stars are not followed past what the server takes', async () => {
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
  });

  // Twice each would be 2^40 looks, which do not end.
  test('rows of the same row twice, and so on, are looked at once', async () => {
    const rows = `${'SELECT ROW(r, r) AS r FROM ('.repeat(40)}SELECT id AS r FROM tasks${') s'.repeat(40)}`;
    for (const sql of [
      `SELECT count(*) FROM (${rows}) s WHERE coalesce(r, r) IS NULL`,
      `SELECT count(*) FROM (SELECT r FROM (${rows}) a UNION ALL SELECT r FROM (${rows}) b) c`,
      `SELECT count(*) FROM (SELECT CASE WHEN true THEN a.r ELSE b.r END AS r FROM (${rows}) a, (${rows}) b) c`,
    ]) {
      expect((await one(sql)).opaque, sql).toEqual([]);
    }
  });

  // What is compared with a given value by = is a lookup: lookups.test.ts.
  test('what a statement does with values besides carrying them is told, by kind and place', async () => {
    const cases: readonly (readonly [sql: string, ...uses: string[]])[] = [
      ["SELECT id FROM people WHERE secret > 'x'", 'computed secret: operator >'],
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
      ['SELECT count(*) OVER (PARTITION BY secret) FROM people', 'computed secret: PARTITION BY'],
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
      ["EXPLAIN SELECT 1 FROM people WHERE secret > 'x'", 'computed secret: operator >'],
      ["COPY (SELECT 1 FROM people WHERE secret > 'x') TO STDOUT", 'computed secret: operator >'],
      ["DECLARE c CURSOR FOR SELECT 1 FROM named WHERE code > 'x'", 'computed secret: operator >'],
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

  test('RETURNING of the key goes on beside a trigger that can change the row', async () => {
    const reasons = async (sql: string) => (await one(sql)).opaque.map(({ reason }) => reason);
    const goesOn = [
      "INSERT INTO audited (id, v) VALUES (1, 'x') RETURNING id",
      "INSERT INTO audited VALUES (1, 'x') RETURNING id::text, 1 AS one, xmax = 0 AS fresh",
      'INSERT INTO audited (id) SELECT id FROM tasks RETURNING audited.id',
    ];
    for (const sql of goesOn) expect(await reasons(sql), sql).toEqual([]);
    const shows = [
      "INSERT INTO audited (id, v) VALUES (1, 'x') RETURNING v",
      "INSERT INTO audited (id, v) VALUES (1, 'x') RETURNING *",
      "INSERT INTO audited (id, v) VALUES (1, 'x') RETURNING audited",
      "INSERT INTO audited (id, v) VALUES (1, 'x') RETURNING id, upper(v)",
      "WITH w AS (INSERT INTO audited VALUES (1, 'x') RETURNING *) SELECT v FROM w",
    ];
    for (const sql of shows) {
      expect(await reasons(sql), sql).toEqual([
        'RETURNING shows what the trigger function public.fill made of the row',
      ]);
      const [opaque] = (await one(sql)).opaque;
      expect(opaque?.because).toEqual({ schema: 'public', function: 'fill' });
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
