/** What is read again after a change, compared with everything read anew. */
import { loadModule, parse } from 'libpg-query';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { textRows } from '../policy/sql-bench.ts';

const SCHEMA = `
CREATE SCHEMA one; CREATE SCHEMA two;
CREATE TABLE one.t (id int PRIMARY KEY, v text, up text GENERATED ALWAYS AS (upper(v)) STORED);
CREATE TABLE two.t (id int, v text);
CREATE VIEW one.view AS SELECT id, v FROM one.t;
CREATE VIEW one.above AS SELECT v FROM one.view;
CREATE FUNCTION one.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION one.check_it(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
`;

/** Each changes something that verdicts rest on; `DROP` and `ALTER` of what earlier ones made. */
const CHANGES = [
  'CREATE TABLE one.new (id serial PRIMARY KEY, v text DEFAULT now()::text)',
  'ALTER TABLE one.t RENAME COLUMN v TO w',
  'ALTER TABLE one.t RENAME TO t2',
  'ALTER VIEW one.view RENAME COLUMN v TO x',
  'CREATE OR REPLACE VIEW one.view AS SELECT id, w AS x FROM one.t2 WHERE id > 0',
  'ALTER TABLE one.new ADD COLUMN extra int, DROP COLUMN v',
  'CREATE TRIGGER note BEFORE INSERT ON one.new FOR EACH ROW EXECUTE FUNCTION one.note()',
  'DROP TRIGGER note ON one.new',
  'ALTER TABLE one.new ADD CONSTRAINT checked CHECK (one.check_it(id::text))',
  'ALTER TABLE one.new DROP CONSTRAINT checked',
  'ALTER TABLE one.new ALTER extra SET DEFAULT 4',
  'ALTER TABLE one.new ALTER extra DROP DEFAULT',
  'ALTER TABLE two.t ADD CHECK (id > length(v)), ADD UNIQUE (id)',
  'CREATE UNIQUE INDEX low ON two.t (lower(v)) WHERE id > 5',
  'ALTER TABLE two.t RENAME CONSTRAINT t_check TO t_fair',
  'DROP INDEX two.low',
  'CREATE SEQUENCE one.loose',
  'ALTER SEQUENCE one.loose OWNED BY one.new.id',
  "ALTER TABLE one.new ALTER extra SET DEFAULT nextval('one.loose')",
  'ALTER SEQUENCE one.loose OWNED BY NONE',
  'CREATE INDEX by_code ON one.t2 (one.check_it(w))',
  'DROP INDEX one.by_code',
  'ALTER TABLE two.t ADD FOREIGN KEY (id) REFERENCES one.t2 ON DELETE CASCADE',
  'CREATE TRIGGER note BEFORE DELETE ON two.t FOR EACH ROW EXECUTE FUNCTION one.note()',
  'ALTER TABLE two.t DROP CONSTRAINT t_id_fkey',
  'ALTER TABLE two.t ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY p ON two.t USING (one.check_it(v))',
  'DROP POLICY p ON two.t',
  'CREATE TABLE one.child () INHERITS (two.t)',
  'ALTER TABLE one.child NO INHERIT two.t',
  'ALTER TABLE one.child INHERIT two.t',
  'CREATE TABLE one.parted (id int, v text) PARTITION BY RANGE (id)',
  'CREATE TABLE one.part PARTITION OF one.parted FOR VALUES FROM (0) TO (9)',
  'ALTER TABLE one.parted DETACH PARTITION one.part',
  'CREATE RULE nothing AS ON DELETE TO one.part DO INSTEAD NOTHING',
  'DROP RULE nothing ON one.part',
  'CREATE RULE also AS ON DELETE TO one.part DO ALSO DELETE FROM one.new WHERE extra = old.id',
  'ALTER TABLE one.new RENAME COLUMN extra TO more',
  'ALTER TABLE two.t ADD FOREIGN KEY (id) REFERENCES one.t2 ON UPDATE SET NULL',
  'CREATE DOMAIN one.plain AS text',
  'ALTER DOMAIN one.plain ADD CONSTRAINT coded CHECK (one.check_it(VALUE))',
  'ALTER TABLE one.part ADD COLUMN coded one.plain',
  'ALTER DOMAIN one.plain DROP CONSTRAINT coded',
  'CREATE TYPE one.pair AS (a int, b text)',
  'ALTER TYPE one.pair RENAME ATTRIBUTE b TO c',
  "CREATE TYPE one.mood AS ENUM ('sad')",
  'ALTER TYPE one.mood RENAME TO feeling',
  'CREATE FUNCTION one.twice(a int, OUT b int) LANGUAGE sql AS $$ SELECT a * 2 $$',
  'CREATE OR REPLACE FUNCTION one.twice(a int, OUT b int) LANGUAGE sql AS $$ SELECT a * 3 $$',
  'ALTER FUNCTION one.twice(int) RENAME TO thrice',
  'CREATE OPERATOR one.|+| (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)',
  'DROP OPERATOR one.|+| (int, int)',
  'CREATE EXTENSION citext SCHEMA one',
  'ALTER TABLE one.new ADD COLUMN mail one.citext',
  'CREATE MATERIALIZED VIEW one.kept AS SELECT * FROM one.t2',
  'CREATE STATISTICS one.s ON id, w FROM one.t2',
  'ALTER SCHEMA one RENAME TO uno',
  'ALTER TABLE uno.part SET SCHEMA two',
  'CREATE TEMP TABLE passing (id int)',
  'DROP TABLE passing',
  'DROP VIEW uno.view CASCADE',
  'DROP TABLE uno.t2 CASCADE',
  'DROP DOMAIN uno.plain CASCADE',
  'DROP SCHEMA uno CASCADE',
];

/** Everything that a catalog says of what is not built in. */
async function dump(catalog: Catalog, client: pg.Client): Promise<unknown> {
  const rows = (sql: string) => textRows(client, sql);
  const user = 'WHERE oid >= 16384 ORDER BY oid';
  const relations = await rows(`SELECT oid FROM pg_class ${user}`);
  const types = await rows(`SELECT oid FROM pg_type ${user}`);
  const functions = await rows(
    'SELECT DISTINCT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384 ORDER BY 1, 2',
  );
  const operators = await rows(
    'SELECT DISTINCT n.nspname, o.oprname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= 16384 ORDER BY 1, 2',
  );
  return {
    relations: relations.map(([oid]) => {
      const one = catalog.relationByOid(Number(oid));
      const named = one && catalog.relation(one.schema, one.name);
      // How names in a definition are looked up depends on who asked for it.
      return [
        { ...one, viewPath: undefined },
        named === one,
        catalog.childrenOf(Number(oid)).map((child) => child.oid),
      ];
    }),
    types: types.map(([oid]) => {
      const one = catalog.typeByOid(Number(oid));
      return [one, one && catalog.type(one.schema, one.name) === one];
    }),
    functions: functions.map(([schema, name]) => catalog.functions(schema ?? '', name ?? '')),
    operators: operators.map(([schema, name]) => catalog.operators(schema ?? '', name ?? '')),
    casts: catalog.userCasts,
    schemas: catalog.schemas,
    code: catalog.code,
    eventTriggers: catalog.eventTriggers,
  };
}

let server: EmbeddedPostgres;
const clients: pg.Client[] = [];

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  clients.push(client);
  return client;
}

beforeAll(async () => {
  await loadModule();
  server = await startTestPostgres();
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await server?.[Symbol.asyncDispose]();
});

async function open(): Promise<{ source: CatalogSource; queries: string[] }> {
  const client = await connect();
  const queries: string[] = [];
  const query = async (sql: string) => {
    queries.push(sql);
    return await textRows(client, sql);
  };
  return { source: openCatalogSource({ query, parse }), queries };
}

async function fresh(): Promise<Catalog> {
  return await (await open()).source.current();
}

describe('after each change', () => {
  test('what is read again makes the catalog that reading everything makes', async () => {
    const admin = await connect();
    await admin.query(SCHEMA);
    const { source, queries } = await open();
    await source.current();
    let readAll = 0;
    for (const change of CHANGES) {
      const before = queries.length;
      const { generation } = await source.current();
      await admin.query(change);
      const now = await source.refresh();
      if (queries.slice(before).some((sql) => sql.startsWith('BEGIN'))) readAll += 1;
      expect(await dump(now, admin), change).toEqual(await dump(await fresh(), admin));
      const isNews = !/STATISTICS|INDEX|ALTER extra/.test(change);
      if (isNews) expect(now.generation, change).toBe(generation + 1);
    }
    // A schema with another name, an extension that comes and goes.
    expect(readAll).toBe(3);
  });

  test('the same, when several are looked at as one and others are still open', async () => {
    const admin = await connect();
    const other = await connect();
    await admin.query('DROP SCHEMA IF EXISTS two CASCADE');
    await admin.query(SCHEMA);
    const { source } = await open();
    await source.current();
    for (let index = 0; index < CHANGES.length; index += 4) {
      // What runs at the time of a look is seen by a later one, and holds what is recent far back.
      await other.query('BEGIN');
      await other.query(`CREATE TABLE public.slow_${index} (id int)`);
      for (const change of CHANGES.slice(index, index + 4)) {
        await admin.query(change);
        if (/RENAME|DROP/.test(change)) await source.refresh();
      }
      await source.refresh();
      await other.query(index % 8 === 0 ? 'COMMIT' : 'ROLLBACK');
      const now = await source.refresh();
      const where = CHANGES.slice(index, index + 4).join('; ');
      expect(await dump(now, admin), where).toEqual(await dump(await fresh(), admin));
    }
  });

  test('the same within a transaction, rolled back in part, before anyone else sees it', async () => {
    const admin = await connect();
    await admin.query('DROP SCHEMA IF EXISTS two CASCADE');
    await admin.query(SCHEMA);
    const { source } = await open();
    const shared = await source.current();
    const ask = (sql: string) => textRows(admin, sql);
    const seen = async () => await source.seenBy?.(ask, 'all', ['pg_catalog']);
    await admin.query("SET search_path = ''");
    await admin.query('BEGIN');
    expect(await seen()).toEqual({ catalog: shared, basedOn: shared.generation });
    const changes = CHANGES.slice(0, CHANGES.indexOf('CREATE EXTENSION citext SCHEMA one'));
    await admin.query('SAVEPOINT s');
    await admin.query('ALTER TABLE two.t RENAME TO gone');
    await admin.query('CREATE TABLE two.t (other int)');
    expect((await seen())?.catalog.relation('two', 't')?.columns[0]?.name).toBe('other');
    await admin.query('ROLLBACK TO s');
    expect((await seen())?.catalog).toBe(shared);
    for (const change of changes) {
      await admin.query(change);
      await seen();
    }
    const within = await seen();
    const inside = within && (await dump(within.catalog, admin));
    // Nobody else has it.
    expect(await source.refresh()).toBe(shared);
    await admin.query('COMMIT');
    expect(inside).toEqual(await dump(await fresh(), admin));
    expect(within?.catalog.generation).toBeLessThan(0);
  });

  test('within a transaction that looks at the past only what is unchanged can be told', async () => {
    const admin = await connect();
    const other = await connect();
    const { source } = await open();
    const shared = await source.current();
    const ask = (sql: string) => textRows(admin, sql);
    await admin.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    expect((await source.seenBy?.(ask, 'all', ['pg_catalog']))?.catalog).toBe(shared);
    await other.query('CREATE TABLE public.after_all (id int)');
    await source.refresh();
    expect(await source.seenBy?.(ask, 'all', ['pg_catalog'])).toBeUndefined();
    await admin.query('ROLLBACK');
  });

  test('where only relations come and go, columns of others are not looked at', async () => {
    const admin = await connect();
    const { source, queries } = await open();
    await source.current();
    await admin.query('CREATE TABLE public.whole (id int, v text)');
    const before = queries.length;
    const now = await source.refresh('relations');
    expect(now.relation('public', 'whole')?.columns.map(({ name }) => name)).toEqual(['id', 'v']);
    expect(
      queries.slice(before).some((sql) => sql.includes('FROM pg_catalog.pg_attribute x')),
    ).toBe(false);
    await admin.query('ALTER TABLE public.whole RENAME COLUMN v TO w');
    await admin.query('DROP TABLE public.after_all');
    source.invalidate?.('relations');
    // The columns are looked at with the next full look, which DDL of this scope does not put off.
    expect((await source.current()).relation('public', 'after_all')).toBeUndefined();
    expect((await source.refresh()).relation('public', 'whole')?.columns[1]?.name).toBe('w');
  });
});
