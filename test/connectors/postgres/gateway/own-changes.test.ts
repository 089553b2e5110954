/** DDL in a session, and statements that use what it made, under rules and masks that restrict. */
import { describe, expect, test, vi } from 'vitest';
import type { CatalogSource } from '../../../../src/connectors/postgres/gateway/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  errors,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  run,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE SCHEMA app; CREATE SCHEMA two;
  CREATE TABLE two.t (id int, v text); INSERT INTO two.t VALUES (1, 'hidden-1'), (2, 'hidden-2');
  CREATE TABLE app.t (id int, v text); INSERT INTO app.t VALUES (1, 'plain-1');
  CREATE TABLE app.pg_class (relname text); INSERT INTO app.pg_class VALUES ('hidden-class');
  CREATE VIEW app.names AS SELECT relname FROM pg_catalog.pg_class WHERE relname = 'pg_class';
  CREATE FUNCTION app.moves(v text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('search_path', v, false); RETURN v; END $$;
  CREATE TABLE app.late (id int);
  CREATE FUNCTION app.replace_view() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    CREATE OR REPLACE VIEW app.view AS SELECT id, v || '' AS v FROM two.t; RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.late DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION app.replace_view();
  CREATE VIEW app.view AS SELECT id, v || '' AS v FROM app.t;
`);

/** Restricts, and masks: what app.* may do, and no value of two.t.v in the clear. */
const masked = grantOf({
  rules: [
    'allow select, insert, update, create table, create table as, create view, alter table, drop table, create function, set on app.*, two.*, pg_temp.*',
    'allow select, insert, set search_path, rollback to, savepoint',
    'allow create function, create schema, alter schema, create operator',
    'allow calls of app.moves that may show',
  ],
  masks: ['two.t.v full', 'app.pg_class.relname full'],
});
const restricted = grantOf({
  rules: ['allow select, insert, create table, create table as, drop table on app.*, pg_temp.*'],
});

const real = realEngine(target);

const bench = (grant = masked): Promise<Bench> =>
  startBench({
    target: target(),
    ...real.parts(),
    grant: () => grant,
  });

const shown = (received: readonly Received[]): boolean =>
  received.some(({ body }) => body.includes('hidden-'));

/** Each text as a Query; `shows` collects everything that came. */
async function play(client: RawClient, texts: readonly string[]): Promise<readonly Received[]> {
  const all: Received[] = [];
  for (const text of texts) all.push(...(await client.ask([query(text)])));
  return all;
}

const codes = (received: readonly Received[]): readonly unknown[] =>
  errors(received).map(({ C, R, M }) => R ?? `${C} ${M}`);

describe('what everyone does passes', () => {
  test.each([
    ['a table', ['CREATE TABLE app.new (id int, v text)'], 'app.new'],
    ['a temporary table', ['CREATE TEMP TABLE new (id int, v text)'], 'new'],
    [
      'a table made of a query',
      ['CREATE TABLE app.new AS SELECT 0 AS id, v FROM app.t WHERE false'],
      'app.new',
    ],
    [
      'a temporary table made of a query',
      ['CREATE TEMP TABLE new AS SELECT id, v FROM app.t WHERE false'],
      'pg_temp.new',
    ],
    [
      'a table that is defined with built-in functions',
      ["CREATE TABLE app.new (id int CHECK (id + 1 > 0), v text DEFAULT lower('X'))"],
      'app.new',
    ],
  ])('%s', async (_, made, name) => {
    for (const grant of [restricted, masked]) {
      await using engine = await bench(grant);
      await using client = await RawClient.open(engine.port);
      for (const [begin, end] of [['BEGIN', 'COMMIT'], []]) {
        const answers = await play(client, [
          ...(begin === undefined ? [] : [begin]),
          ...made,
          `INSERT INTO ${name} VALUES (7, 'mine')`,
          `SELECT v FROM ${name} WHERE id = 7`,
          ...(end === undefined ? [] : [end]),
          `SELECT v FROM ${name}`,
          `DROP TABLE ${name}`,
        ]);
        expect([codes(answers), rows(answers)]).toEqual([[], [['mine'], ['mine']]]);
      }
    }
  });

  test('in a pipeline, with prepared statements', async () => {
    await using engine = await bench(restricted);
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      run('BEGIN'),
      run('CREATE TABLE app.piped (id int)'),
      run('INSERT INTO app.piped VALUES (1)'),
      parse('SELECT id FROM app.piped', 'p'),
      bind({ statement: 'p', portal: '' }),
      execute('', 0),
      run('DROP TABLE app.piped'),
      run('COMMIT'),
      sync,
    ]);
    expect([codes(answers), rows(answers)]).toEqual([[], [['1']]]);
  });

  test('a view of a transaction shows what it may show', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const answers = await play(client, [
      'SET search_path = app, two',
      'BEGIN',
      'CREATE VIEW seen AS SELECT a.v, b.id FROM t a, two.t b WHERE b.id = 1',
      'SELECT v, id FROM seen',
      'ROLLBACK',
    ]);
    expect([codes(answers), rows(answers)]).toEqual([[], [['plain-1', '1']]]);
  });
});

/** Each ends with a statement that would show a hidden value, were it judged by what was before. */
const TRICKS: Record<string, readonly string[]> = {
  'a view over the masked column': [
    'BEGIN',
    'CREATE VIEW app.through AS SELECT v FROM two.t',
    'SELECT v FROM app.through',
  ],
  'a view whose names are looked up in another schema': [
    'SET search_path = two, app',
    'BEGIN',
    'CREATE TABLE app.filler (id int)',
    "CREATE OR REPLACE VIEW app.view AS SELECT id, v || '' AS v FROM t",
    'SELECT v FROM app.view',
  ],
  'a view that reads the same and means another table': [
    'SET search_path = app, pg_catalog',
    'BEGIN',
    'CREATE OR REPLACE VIEW app.names AS SELECT relname::name AS relname FROM app.pg_class',
    'SELECT relname FROM app.names',
  ],
  'a copy of the masked column': [
    'BEGIN',
    'CREATE TABLE app.copy AS SELECT v FROM two.t',
    'SELECT v FROM app.copy',
  ],
  'a table under the name of the masked one, taken back': [
    'SET search_path = app, two',
    'BEGIN',
    'SAVEPOINT s',
    'DROP TABLE app.t CASCADE',
    'CREATE TABLE app.filler (id int)',
    'SELECT v FROM t',
    'ROLLBACK TO s',
    'ALTER TABLE app.t RENAME TO moved',
    'SELECT v FROM t',
  ],
  'a temporary table in front of the masked one, taken back': [
    'SET search_path = two',
    'BEGIN',
    'SAVEPOINT s',
    'CREATE TEMP TABLE t (id int, v text)',
    'SELECT v FROM t',
    'ROLLBACK TO s',
    'SELECT v FROM t',
  ],
  'the same after an error': [
    'SET search_path = two',
    'BEGIN',
    'SAVEPOINT s',
    'CREATE TEMP TABLE t (id int, v text)',
    'SELECT v FROM t',
    'SELECT 1/0',
    'ROLLBACK TO s',
    'SELECT v FROM t',
  ],
  'a temporary table in front of the masked one, undone with its transaction': [
    'SET search_path = two',
    'BEGIN',
    'CREATE TEMP TABLE t (id int, v text)',
    'SELECT v FROM t',
    'ROLLBACK AND CHAIN',
    'SELECT v FROM t',
  ],
  'a temporary table that goes at commit': [
    'SET search_path = two',
    'BEGIN',
    'CREATE TEMP TABLE t (id int, v text) ON COMMIT DROP',
    'SELECT v FROM t',
    'COMMIT AND CHAIN',
    'SELECT v FROM t',
  ],
  'a temporary table with the name of a type': [
    'CREATE TEMP TABLE text (v text)',
    'SET search_path = two',
    'CREATE TEMP TABLE t (id int, v text)',
    'DROP TABLE t',
    'SELECT v::text FROM t',
  ],
  'a temporary table whose default moves the search_path': [
    'SET search_path = app, two',
    "CREATE TEMP TABLE moving (v text DEFAULT app.moves('two, app'))",
    'INSERT INTO moving DEFAULT VALUES',
    'SELECT v FROM t',
  ],
  'a temporary table made of a query that moves the search_path': [
    'SET search_path = app, two',
    "CREATE TEMP TABLE moved AS SELECT app.moves('two, app') AS v",
    'SELECT v FROM t',
  ],
  'a prepared statement from before': [
    'SET search_path = two',
    'BEGIN',
    'SAVEPOINT s',
    'CREATE TEMP TABLE t (id int, v text)',
    'PREPARE p AS SELECT v FROM t',
    'EXECUTE p',
    'ROLLBACK TO s',
    'EXECUTE p',
  ],
  'a table that is made, dropped and gives way': [
    'SET search_path = app, two',
    'ALTER TABLE app.t RENAME TO elsewhere',
    'CREATE TABLE app.t (id int, v text)',
    'SELECT v FROM t',
    'DROP TABLE app.t',
    'SELECT v FROM t',
  ],
  'a schema with another name': [
    'BEGIN',
    'CREATE TABLE app.filler (id int)',
    'ALTER SCHEMA two RENAME TO three',
    'SELECT v FROM three.t',
  ],
  'a schema in the place of another one': [
    'BEGIN',
    'ALTER SCHEMA app RENAME TO app2',
    'ALTER SCHEMA two RENAME TO app',
    'SELECT v FROM app.t',
  ],
  'a schema in the place of another one, committed': [
    'ALTER SCHEMA app RENAME TO app2',
    'ALTER SCHEMA two RENAME TO app',
    'SELECT v FROM app.t',
  ],
  'the masked table with another name': [
    'BEGIN',
    'CREATE TABLE app.filler (id int)',
    'ALTER TABLE two.t RENAME TO u',
    'SELECT v FROM two.u',
  ],
  'the masked column with another name': [
    'BEGIN',
    'CREATE TABLE app.filler (id int)',
    'ALTER TABLE two.t RENAME COLUMN v TO w',
    'SELECT w FROM two.t',
  ],
  'a child of the masked table': [
    'BEGIN',
    'CREATE TABLE app.child () INHERITS (two.t)',
    'INSERT INTO app.child SELECT * FROM two.t',
    'SELECT v FROM app.child',
  ],
  'a function that takes the place of a built-in one': [
    'SET search_path = app, pg_catalog',
    'BEGIN',
    "CREATE FUNCTION app.upper(text) RETURNS text LANGUAGE sql AS 'SELECT string_agg(v, $$,$$) FROM two.t'",
    "SELECT upper('x')",
  ],
  'an operator that takes the place of a built-in one': [
    'SET search_path = app, pg_catalog',
    'BEGIN',
    "CREATE FUNCTION app.both(text, text) RETURNS text LANGUAGE sql AS 'SELECT string_agg(v, $$,$$) FROM two.t'",
    'CREATE OPERATOR app.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = app.both)',
    "SELECT 'x'::text || 'y'::text",
  ],
  'a trigger that was put off until now': [
    'BEGIN',
    'INSERT INTO app.late VALUES (1)',
    'SELECT v FROM app.view',
    'SET CONSTRAINTS ALL IMMEDIATE',
    'SELECT v FROM app.view',
  ],
  'a trigger that was put off until the end': [
    'BEGIN',
    'INSERT INTO app.late VALUES (1)',
    'SELECT v FROM app.view',
    'COMMIT',
    'SELECT v FROM app.view',
  ],
};

describe('what is masked stays masked: ', () => {
  const inOneText = Object.entries(TRICKS).map(
    ([title, texts]) => [`${title}, in one text`, [texts.join('; ')]] as const,
  );
  // Once there is a temporary schema, what is made in it moves no search_path.
  const withTemporary = Object.entries(TRICKS)
    .filter(([, texts]) => texts.some((text) => text.includes('TEMP')))
    .map(([title, texts]) => {
      const before = ['CREATE TEMP TABLE earlier (id int)', 'SELECT id FROM earlier'];
      return [`${title}, after other temporary tables`, [...before, ...texts]] as const;
    });
  test.each([...Object.entries(TRICKS), ...inOneText, ...withTemporary])('%s', async (_, texts) => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const answers = await play(client, texts);
    expect(shown(answers)).toBe(false);
    expect(engine.failures).toEqual([]);
    // What it left behind goes again.
    await client.ask([query('ROLLBACK')]);
    await sql(`DO $$ BEGIN
      IF to_regnamespace('app2') IS NOT NULL AND to_regclass('app.id') IS NULL THEN
        IF to_regnamespace('two') IS NULL THEN ALTER SCHEMA app RENAME TO two; END IF;
        ALTER SCHEMA app2 RENAME TO app;
      END IF;
      IF to_regclass('app.elsewhere') IS NOT NULL THEN
        DROP TABLE IF EXISTS app.t; ALTER TABLE app.elsewhere RENAME TO t;
      END IF; END $$;
      CREATE OR REPLACE VIEW app.view AS SELECT id, v || '' AS v FROM app.t`);
    await real.parts().catalog.refresh();
  });

  test('the temporary schema that a rollback takes back is asked for again', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const answers = await play(client, [
      'SET search_path = two',
      'BEGIN',
      'CREATE TEMP TABLE earlier (id int)',
      'SELECT id FROM earlier',
      'ROLLBACK',
      'CREATE TEMP TABLE t AS SELECT 3 AS id',
      'SELECT id FROM t',
      'DROP TABLE t',
      'SELECT v FROM t',
    ]);
    expect([codes(answers), rows(answers)]).toEqual([[], [['3'], ['****'], ['****']]]);
  });

  test('a second temporary table makes no session look at the catalog', async () => {
    const { policy, catalog } = real.parts();
    const looks: string[] = [];
    const counting: CatalogSource = {
      current: () => catalog.current(),
      fresh: () => catalog.fresh?.(),
      lastRead: () => catalog.lastRead?.(),
      refresh: (scope) => {
        looks.push(`look at ${scope}`);
        return catalog.refresh(scope);
      },
      lookAnew: () => catalog.lookAnew(),
      invalidate: (scope) => {
        looks.push(`${scope} for others`);
        return catalog.invalidate?.(scope);
      },
    };
    await using engine = await startBench({
      target: target(),
      policy,
      catalog: counting,
      grant: () => masked,
    });
    await using client = await RawClient.open(engine.port);
    await play(client, ['CREATE TEMP TABLE a (id int)', 'SELECT id FROM a']);
    expect(looks).toEqual(['all for others', 'look at all']);
    looks.length = 0;
    await play(client, ['CREATE TEMP TABLE b (id int)', 'CREATE TEMP TABLE c (id int)']);
    expect(looks).toEqual([]);
    expect(codes(await play(client, ['SELECT id FROM c']))).toEqual([]);
    expect(looks).toEqual(['look at relations']);
    // Another session may read the view, and this one replaces it.
    looks.length = 0;
    await play(client, ['CREATE OR REPLACE TEMP VIEW seen AS SELECT id FROM app.t']);
    expect(looks).toContain('all for others');
  });

  test('DDL of another session of the gateway counts at once', async () => {
    await using engine = await bench(grantOf({ rules: ['allow *'] }));
    await using admin = await RawClient.open(engine.port);
    await using other = await bench();
    await using client = await RawClient.open(other.port);
    expect(rows(await client.ask([query('SELECT v FROM app.view')]))).toEqual([['plain-1']]);
    const view = (name: string) =>
      query(`CREATE OR REPLACE VIEW app.view AS SELECT id, v || '' AS v FROM ${name}`);
    expect(codes(await admin.ask([view('two.t')]))).toEqual([]);
    expect(rows(await client.ask([query('SELECT v FROM app.view')]))).toEqual([['****'], ['****']]);
    await admin.ask([query('BEGIN')]);
    await admin.ask([view('app.t')]);
    await admin.ask([query('COMMIT')]);
    expect(rows(await client.ask([query('SELECT v FROM app.view')]))).toEqual([['plain-1']]);
  });
});

describe('rules are asked about what is meant', () => {
  test('a new table goes where the search_path begins, whatever has its name further on', async () => {
    const grant = grantOf({ rules: ['allow create table, select, set search_path on two.*'] });
    await using engine = await bench(grant);
    await using client = await RawClient.open(engine.port);
    const answers = await play(client, [
      'SET search_path = app, two',
      'CREATE TABLE late2 (id int)',
    ]);
    expect(codes(answers).at(-1)).toBe('HOOP_NOT_ALLOWED');
    await sql('CREATE TABLE two.late2 (id int)');
    await real.parts().catalog.refresh();
    expect(codes(await play(client, ['CREATE TABLE late2 (id int)']))).toEqual([
      'HOOP_NOT_ALLOWED',
    ]);
    await sql('DROP TABLE two.late2');
  });

  test('what a transaction has made is held against the rules like everything', async () => {
    const grant = grantOf({ rules: ['allow create table on app.*', 'allow select on two.*'] });
    await using engine = await bench(grant);
    await using client = await RawClient.open(engine.port);
    const answers = await play(client, [
      'BEGIN',
      'CREATE TABLE app.mine (id int)',
      'SELECT * FROM app.mine',
    ]);
    expect(codes(answers)).toEqual(['HOOP_NOT_ALLOWED']);
  });
});

test('a verdict that took long is reached again when others have changed the catalog meanwhile', async () => {
  const { policy, catalog } = real.parts();
  await sql('CREATE VIEW app.moving AS SELECT id, v FROM app.t');
  const now = performance.now.bind(performance);
  let later = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + later);
  await using engine = await startBench({
    target: target(),
    catalog,
    grant: () => masked,
    policy: {
      async decide(...asked) {
        const verdict = await policy.decide(...asked);
        if (asked[0].includes('app.moving') && later === 0) {
          later = 5000;
          await sql('CREATE OR REPLACE VIEW app.moving AS SELECT id, v FROM two.t');
        }
        return verdict;
      },
    },
  });
  await using client = await RawClient.open(engine.port);
  try {
    const answers = await play(client, ["SELECT v || '' FROM app.moving"]);
    expect([codes(answers), rows(answers)]).toEqual([[], [['****'], ['****']]]);
    const again = await play(client, ['SELECT id FROM app.moving ORDER BY id']);
    expect(rows(again)).toEqual([['1'], ['2']]);
  } finally {
    clock.mockRestore();
    await sql('DROP VIEW app.moving');
  }
});
