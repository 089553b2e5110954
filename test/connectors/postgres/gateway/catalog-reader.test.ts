import { loadModule, parse } from 'libpg-query';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { textRows } from '../policy/sql-bench.ts';

const SCHEMA = `
CREATE SCHEMA app;
CREATE EXTENSION citext;
CREATE TABLE app.users (id int PRIMARY KEY, gone int, mail text, upper_mail text GENERATED ALWAYS AS (upper(mail)) STORED);
ALTER TABLE app.users DROP COLUMN gone;
CREATE TABLE app.admins (level int) INHERITS (app.users);
CREATE VIEW app.mails AS SELECT mail FROM app.users;
CREATE FUNCTION app.twice(x int, y text DEFAULT 'a', VARIADIC z int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE FUNCTION app.pair(OUT a int, OUT b text) LANGUAGE sql AS $$ SELECT 1, 'b' $$;
CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION app.check_it(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
CREATE OPERATOR app.|+| (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
CREATE DOMAIN app.plain AS text CHECK (VALUE <> '');
CREATE DOMAIN app.coded AS text CHECK (app.check_it(VALUE));
CREATE TABLE app.coded_table (c app.coded);
CREATE TABLE app.plain_table (c app.plain, d citext CHECK (d <> 'x'));
CREATE TABLE app.indexed (v text);
CREATE INDEX ON app.indexed (app.check_it(v));
CREATE TRIGGER t AFTER UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE TABLE app.watched (id int);
CREATE TRIGGER t BEFORE INSERT ON app.watched FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE TABLE app.child (id int REFERENCES app.users (id));
CREATE TABLE app.owner (id int PRIMARY KEY);
CREATE TABLE app.owned (id int PRIMARY KEY, owner int REFERENCES app.owner (id) ON DELETE CASCADE);
CREATE TABLE app.part (owned int REFERENCES app.owned (id) ON DELETE SET NULL);
CREATE TRIGGER t BEFORE UPDATE ON app.part FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE TABLE app.secured (v text);
ALTER TABLE app.secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.secured USING (app.check_it(v));
CREATE TABLE app.plainly_secured (v text);
ALTER TABLE app.plainly_secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON app.plainly_secured USING (v = current_user);
`;

describe('the catalog reader', () => {
  let server: EmbeddedPostgres;
  let admin: pg.Client;
  let reader: pg.Client;
  let queries: string[] = [];
  let now = 0;

  beforeAll(async () => {
    await loadModule();
    server = await startTestPostgres();
    admin = new pg.Client({ connectionString: server.url('postgres') });
    reader = new pg.Client({ connectionString: server.url('postgres') });
    await admin.connect();
    await reader.connect();
    await admin.query(SCHEMA);
  });
  afterAll(async () => {
    await admin?.end();
    await reader?.end();
    await server?.[Symbol.asyncDispose]();
  });

  function open() {
    queries = [];
    return openCatalogSource({
      query: async (sql) => {
        queries.push(sql);
        return await textRows(reader, sql);
      },
      parse,
      pollMilliseconds: 1000,
      now: () => now,
    });
  }

  test('tables come with columns, generated columns and parents', async () => {
    const catalog = await open().current();
    const users = catalog.relation('app', 'users');
    expect(users?.columns.map((column) => [column.attnum, column.name, column.dropped])).toEqual([
      [1, 'id', false],
      [2, '........pg.dropped.2........', true],
      [3, 'mail', false],
      [4, 'upper_mail', false],
    ]);
    expect(users?.columns[3]?.generatedColumns).toEqual([3]);
    const admins = catalog.relation('app', 'admins');
    expect(admins?.parents).toEqual([users?.oid]);
    expect(catalog.childrenOf(users?.oid ?? 0)).toEqual([admins]);
    expect(catalog.typeByOid(users?.rowTypeOid ?? 0)?.relationOid).toBe(users?.oid);
    expect(catalog).toMatchObject({ majorVersion: 18, database: 'postgres' });
    expect(catalog.schemas).toContain('app');
  });

  test('views come with a parsed definition in which every name is qualified', async () => {
    const catalog = await open().current();
    const view = catalog.relation('app', 'mails');
    expect(view).toMatchObject({ kind: 'v' });
    expect(view?.viewDefinition).toContain('app.users');
    expect(JSON.stringify(view?.viewTree)).toContain('"schemaname":"app"');
    expect(catalog.relation('pg_catalog', 'pg_stats')?.kind).toBe('v');
    expect(catalog.relation('information_schema', 'columns')?.columns.length).toBeGreaterThan(40);
  });

  test('functions come with defaults, variadic and output parameters, and their extension', async () => {
    const catalog = await open().current();
    expect(catalog.functions('app', 'twice')[0]).toMatchObject({
      volatility: 'i',
      variadic: true,
      defaults: 2,
      language: 'sql',
    });
    expect(catalog.functions('app', 'pair')[0]?.outputs).toEqual([
      { name: 'a', typeOid: 23 },
      { name: 'b', typeOid: 25 },
    ]);
    const [replace] = catalog.functions('public', 'replace');
    expect(replace?.extension).toBe('citext');
    expect(catalog.functions('pg_catalog', 'lower').length).toBeGreaterThan(1);
    expect(catalog.operators('app', '|+|')).toMatchObject([
      { left: 23, right: 23, result: 23, called: { name: 'int4pl' } },
    ]);
    // citext's casts are harmless.
    expect(catalog.userCasts).toEqual([]);
  });

  test('code that is not built in is found in triggers, types, constraints, indexes and policies', async () => {
    const catalog = await open().current();
    const code = (name: string) => catalog.relation('app', name)?.codeOn;
    expect(code('users')).toEqual({
      runs: new Set(['update']),
      altersRow: new Set(),
      unread: new Set(['update']),
    });
    expect(code('watched')).toMatchObject({
      runs: new Set(['insert']),
      altersRow: new Set(['insert']),
      alteredBy: [{ change: 'insert', called: { schema: 'app', name: 'note' } }],
    });
    expect(code('coded_table')?.runs).toEqual(new Set(['insert', 'update']));
    expect(code('indexed')?.runs).toEqual(new Set(['insert', 'update']));
    expect(code('plain_table')?.runs).toEqual(new Set());
    // The triggers of a foreign key are PostgreSQL's own.
    expect(catalog.relation('app', 'child')?.hasTriggersOrRules).toBe(false);
    // Deleting an owner deletes what is owned, which updates its parts, which fires a trigger.
    expect(code('owner')).toEqual({
      runs: new Set(['delete']),
      altersRow: new Set(),
      unread: new Set(['delete']),
    });
    expect(catalog.relation('app', 'owner')?.referencedBy).toEqual([
      catalog.relation('app', 'owned')?.oid,
    ]);
    expect(catalog.type('app', 'coded')?.runsUserCode).toBe(true);
    expect(catalog.type('app', 'plain')?.runsUserCode).toBe(false);
    expect(catalog.type('public', 'citext')?.runsUserCode).toBe(false);
    expect(catalog.relation('app', 'secured')?.rowSecurityRunsUserCode).toBe(true);
    expect(catalog.relation('app', 'plainly_secured')).toMatchObject({
      rowSecurity: true,
      rowSecurityRunsUserCode: false,
    });
  });

  test('the generation grows when something changed, and only then', async () => {
    const source = open();
    const first = await source.current();
    expect(first.generation).toBe(1);
    expect(await source.refresh()).toBe(first);
    await admin.query('CREATE TABLE app.fresh (a int)');
    const second = await source.refresh();
    expect(second.generation).toBe(2);
    expect(second.relation('app', 'fresh')).toBeDefined();
    // The old snapshot stays what it was.
    expect(first.relation('app', 'fresh')).toBeUndefined();
    // Rows and statistics are not the catalog's business.
    await admin.query('INSERT INTO app.fresh VALUES (1); ANALYZE app.fresh');
    expect(await source.refresh()).toBe(second);
    const changes = [
      'ALTER TABLE app.fresh RENAME TO fresh2',
      'ALTER TABLE app.fresh2 RENAME COLUMN a TO b',
      'CREATE OR REPLACE VIEW app.mails AS SELECT upper_mail AS mail FROM app.users',
      'CREATE TRIGGER t BEFORE DELETE ON app.fresh2 FOR EACH ROW EXECUTE FUNCTION app.note()',
      'ALTER TABLE app.admins NO INHERIT app.users',
      'CREATE FUNCTION app.later() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
      'ALTER TABLE app.fresh2 SET SCHEMA public',
      'DROP TABLE public.fresh2',
    ];
    let generation = second.generation;
    for (const change of changes) {
      await admin.query(change);
      const next = await source.refresh();
      expect(next.generation, change).toBe(generation + 1);
      generation = next.generation;
    }
  });

  test('the server is asked at most once per interval, and callers share one answer', async () => {
    now = 0;
    const source = open();
    const [a, b] = await Promise.all([source.current(), source.current()]);
    expect(a).toBe(b);
    const asked = queries.length;
    now = 999;
    await source.current();
    expect(queries).toHaveLength(asked);
    now = 1000;
    expect(await source.current()).toBe(a);
    // Nothing changed, so nothing is read again.
    expect(queries).toHaveLength(asked + 1);
  });

  describe('looks before a refusal', () => {
    /** Each query takes 50 ms of a clock that nothing else moves. */
    async function openCounted() {
      [now, queries] = [0, []];
      const pauses: number[] = [];
      const source = openCatalogSource({
        query: async (sql) => {
          now += 50;
          const rows = await textRows(reader, sql);
          queries.push(sql);
          return rows;
        },
        parse,
        pollMilliseconds: 1_000_000,
        now: () => now,
        pause: async (milliseconds) => {
          pauses.push(milliseconds);
          now += milliseconds;
        },
      });
      await source.current();
      queries = [];
      return { source, pauses };
    }

    test('are shared by all that ask before one begins', async () => {
      const { source, pauses } = await openCounted();
      const found = await Promise.all(Array.from({ length: 500 }, () => source.lookAnew()));
      expect(new Set(found).size).toBe(1);
      expect([queries.length, pauses]).toEqual([1, []]);
    });

    test('leave the target four times as long as each took', async () => {
      const { source, pauses } = await openCounted();
      for (let look = 0; look < 4; look += 1) await source.lookAnew();
      expect([queries.length, pauses]).toEqual([4, [200, 200, 200]]);
      now += 150;
      await source.lookAnew();
      now += 200;
      await source.lookAnew();
      expect(pauses).toEqual([200, 200, 200, 50]);
    });

    test('do not answer with a look that had begun before they were asked for', async () => {
      const { source } = await openCounted();
      await admin.query('DROP TABLE IF EXISTS app.early');
      const first = source.lookAnew();
      await expect.poll(() => queries.length).toBeGreaterThan(0);
      await admin.query('CREATE TABLE app.early (a int)');
      const second = await source.lookAnew();
      await first;
      expect(second.relation('app', 'early')).toBeDefined();
      await admin.query('DROP TABLE app.early');
    });
  });

  describe('a look that takes long', () => {
    let cost: number;
    let fails: boolean;

    /** At 1000 it has looked, for 100 ms; the next look is due at 2000. */
    async function openSlow() {
      [now, cost, fails] = [0, 0, false];
      queries = [];
      const source = openCatalogSource({
        query: async (sql) => {
          now += cost;
          const rows = await textRows(reader, sql);
          // Then nothing else is waited for.
          queries.push(sql);
          if (fails) throw new Error('connection lost');
          return rows;
        },
        parse,
        pollMilliseconds: 1000,
        now: () => now,
      });
      await source.current();
      [now, cost] = [1000, 100];
      const catalog = await source.current();
      cost = 0;
      return { source, catalog, asked: queries.length };
    }

    test('begins before it is due, and no statement waits for it', async () => {
      const { source, catalog, asked } = await openSlow();
      now = 1799;
      expect(source.fresh?.()).toBe(catalog);
      now = 1800;
      expect(source.fresh?.()).toBe(catalog);
      expect(source.fresh?.()).toBe(catalog);
      await expect.poll(() => queries.length).toBe(asked + 1);
      // It counts from when it began.
      now = 2799;
      expect(await source.current()).toBe(catalog);
      expect(queries).toHaveLength(asked + 1);
      now = 2800;
      await source.current();
      expect(queries).toHaveLength(asked + 2);
    });

    test('sees what has changed, in time', async () => {
      const { source, catalog } = await openSlow();
      await admin.query('CREATE TABLE app.ahead (id int)');
      now = 1800;
      expect(source.fresh?.()).toBe(catalog);
      now = 2000;
      expect((await source.current()).relation('app', 'ahead')).toBeDefined();
      await admin.query('DROP TABLE app.ahead');
    });

    test('that fails is made again when it is due, and whoever asks is told', async () => {
      const { source, catalog, asked } = await openSlow();
      fails = true;
      now = 1800;
      expect(source.fresh?.()).toBe(catalog);
      await expect.poll(() => queries.length).toBe(asked + 1);
      now = 2000;
      await expect(source.current()).rejects.toThrow('connection lost');
      fails = false;
      expect(await source.current()).toBe(catalog);
    });
  });

  test('what was read before a change is given to nobody, also while the look for it is under way', async () => {
    now = 0;
    let looks = 0;
    let gate = Promise.withResolvers<void>();
    gate.resolve();
    const source = openCatalogSource({
      query: async (sql) => {
        const rows = await textRows(reader, sql);
        if (sql.includes('pg_current_snapshot')) looks += 1;
        await gate.promise;
        return rows;
      },
      parse,
      now: () => now,
    });
    await source.current();
    await admin.query('CREATE TABLE app.just_made (id int)');
    source.invalidate?.('relations');
    [gate, looks] = [Promise.withResolvers<void>(), 0];
    const look = source.current();
    await expect.poll(() => looks).toBe(1);
    expect(source.fresh?.()).toBeUndefined();
    // It has been asked already, and does not show this.
    await admin.query('DROP TABLE app.just_made');
    source.invalidate?.('relations');
    gate.resolve();
    await look;
    expect(source.fresh?.()).toBeUndefined();
    // One look is for all who had asked before it began, however much has changed since.
    [gate, looks] = [Promise.withResolvers<void>(), 0];
    const both = [source.current(), source.current()];
    await expect.poll(() => looks).toBe(1);
    source.invalidate?.('relations');
    gate.resolve();
    const [catalog, same] = await Promise.all(both);
    expect(catalog?.relation('app', 'just_made')).toBeUndefined();
    expect(same).toBe(catalog);
    expect([looks, source.fresh?.()]).toEqual([1, undefined]);
    expect(await source.current()).toBe(catalog);
    expect(source.fresh?.()).toBe(catalog);
  });

  test('a definition that could not be parsed once is parsed with the next look at the catalog', async () => {
    let asked = 0;
    let broken = 1;
    const source = openCatalogSource({
      query: (sql) => textRows(reader, sql),
      parse: async (sql) => {
        asked += 1;
        if (broken > 0) {
          broken -= 1;
          throw new Error('the parser is being replaced');
        }
        return await parse(sql);
      },
    });
    await source.current();
    const first = asked;
    await source.refresh();
    expect(asked).toBe(first + 1);
    // Nothing is owed now, and nothing has changed.
    const catalog = await source.refresh();
    expect(asked).toBe(first + 1);
    expect(await source.current()).toBe(catalog);
    // A text that breaks the parser each time is given up after a few attempts.
    broken = Number.POSITIVE_INFINITY;
    asked = 0;
    await admin.query('CREATE VIEW app.breaks AS SELECT 1 AS one');
    for (let i = 0; i < 5; i += 1) {
      await source.refresh();
    }
    expect(asked).toBe(3);
    await admin.query('DROP VIEW app.breaks');
  });

  test('a failed read is reported to its caller and tried again by the next', async () => {
    let fails = true;
    const source = openCatalogSource({
      query: async (sql) => {
        if (fails && sql.includes('pg_proc p')) {
          throw new Error('connection lost');
        }
        return await textRows(reader, sql);
      },
      parse,
    });
    await expect(source.current()).rejects.toThrow('connection lost');
    fails = false;
    expect((await source.current()).relation('app', 'users')).toBeDefined();
  });
});
