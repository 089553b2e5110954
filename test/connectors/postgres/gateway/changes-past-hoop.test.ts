/** Schema changes made directly on the server, and the next statement of a session under masks. */
import { beforeAll, describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  describePortal,
  describeStatement,
  errors,
  execute,
  letters,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE SCHEMA app;
  CREATE TABLE app.people (id int PRIMARY KEY, name text, email text);
  INSERT INTO app.people VALUES (1, 'Ann', 'hidden-ann');
  CREATE TABLE app.logged (id int, at text);
  CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM 1 FROM app.people; NEW.at := 'noted'; RETURN NEW; END $$;
  CREATE TRIGGER note BEFORE INSERT ON app.logged FOR EACH ROW EXECUTE FUNCTION app.note();
  CREATE SCHEMA closed;
  CREATE TABLE closed.people (id int, name text);
  INSERT INTO closed.people VALUES (1, 'hidden-closed');
  CREATE ROLE reader; CREATE ROLE opener;
  GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app.people, closed.people TO reader;
  GRANT USAGE ON SCHEMA closed TO opener;
`);

const masked = grantOf({
  rules: ['allow select, insert, update on app.*', 'allow set search_path, set role'],
  masks: ['app.people.email full', 'closed.people.name full'],
});

/** Time does not pass, so that no look is due by itself. */
const real = realEngine(target, () => 0);

const bench = (): Promise<Bench> =>
  startBench({ target: target(), ...real.parts(), grant: () => masked });

const answer = (received: readonly Received[]): readonly unknown[] => [
  errors(received).map(({ C, M }) => `${C} ${M}`),
  rows(received),
];

/** One after the other, as a migration goes; each statement fails without its change. */
const STEPS: readonly (readonly [change: string, statement: string, rows: readonly unknown[]])[] = [
  ['CREATE TABLE app.orders (id int, total int)', 'SELECT count(*) FROM app.orders', [['0']]],
  ['ALTER TABLE app.orders ADD COLUMN note text', 'SELECT note FROM app.orders', []],
  ['ALTER TABLE app.orders RENAME COLUMN note TO remark', 'SELECT remark FROM app.orders', []],
  ['ALTER TABLE app.orders RENAME TO sales', 'SELECT remark FROM app.sales', []],
  ["CREATE TYPE app.mood AS ENUM ('sad', 'glad')", "SELECT 'sad'::app.mood FROM app.sales", []],
  ['ALTER TYPE app.mood RENAME TO feeling', "SELECT 'sad'::app.feeling FROM app.sales", []],
  [
    'CREATE VIEW app.names AS SELECT id, name FROM app.people',
    'SELECT name FROM app.names',
    [['Ann']],
  ],
  ['ALTER VIEW app.names RENAME COLUMN name TO called', 'SELECT called FROM app.names', [['Ann']]],
  [
    'CREATE MATERIALIZED VIEW app.kept AS SELECT id, name FROM app.people',
    'SELECT name FROM app.kept',
    [['Ann']],
  ],
  [
    'ALTER TABLE app.sales SET SCHEMA public; ALTER TABLE public.sales SET SCHEMA app',
    'SELECT remark FROM app.sales',
    [],
  ],
  ['DROP TRIGGER note ON app.logged', 'INSERT INTO app.logged VALUES (1) RETURNING at', [[null]]],
  ['ALTER TABLE app.sales ADD PRIMARY KEY (id)', 'SELECT remark FROM app.sales GROUP BY id', []],
  [
    'ALTER TABLE app.logged ALTER COLUMN at TYPE int USING 1',
    'SELECT DISTINCT at + 1 FROM app.logged',
    [['2']],
  ],
];

describe('a change made directly on the server counts for the next statement', () => {
  let engine: Bench;
  let client: RawClient;
  beforeAll(async () => {
    engine = await bench();
    client = await RawClient.open(engine.port);
    await client.ask([query('SELECT id FROM app.people')]);
    return async () => {
      await client[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    };
  });
  test.each(STEPS)('%s', async (change, statement, expected) => {
    const before = answer(await client.ask([query(statement)]));
    await sql(change);
    expect(answer(await client.ask([query(statement)]))).toEqual([[], expected]);
    if (!change.includes('SET SCHEMA') && !change.includes('TYPE int')) {
      expect(before[0]).toHaveLength(1);
    }
  });
});

describe('a schema that the role may use since it was last looked at', () => {
  test.each([
    ['GRANT USAGE ON SCHEMA closed TO reader', 'REVOKE USAGE ON SCHEMA closed FROM reader'],
    ['GRANT opener TO reader', 'REVOKE opener FROM reader'],
  ])('%s: names are looked up in it, and what it masks stays masked', async (open, close) => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    for (const text of ['SET search_path = closed, app', 'SET ROLE reader']) {
      await client.ask([query(text)]);
    }
    const name = query("SELECT name || '' FROM people");
    expect(answer(await client.ask([name]))).toEqual([[], [['Ann']]]);
    await sql(open);
    await real.parts().catalog.refresh();
    const [codes] = answer(await client.ask([name]));
    expect(codes).toEqual([expect.stringContaining('not allowed')]);
    await sql(close);
    expect(answer(await client.ask([name]))).toEqual([[], [['Ann']]]);
  });
});

test('a result with a new column is withheld once, and passes the next time', async () => {
  await sql('CREATE TABLE app.grows (id int); INSERT INTO app.grows VALUES (1)');
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const all = query('SELECT * FROM app.grows');
  expect(answer(await client.ask([all]))).toEqual([[], [['1']]]);
  await sql('ALTER TABLE app.grows ADD COLUMN more int');
  expect(errors(await client.ask([all]))).toMatchObject([{ R: 'HOOP_RESULT_MISMATCH' }]);
  expect(answer(await client.ask([all]))).toEqual([[], [['1', null]]]);
});

describe('a prepared statement that runs again without Describe', () => {
  /** Each makes the statement show the masked column, with the same type. */
  const SWAPS: readonly (readonly [what: string, swap: string])[] = [
    [
      'two columns swapped names',
      `ALTER TABLE swap.t RENAME plain TO other; ALTER TABLE swap.t RENAME secret TO plain;
       ALTER TABLE swap.t RENAME other TO secret`,
    ],
    [
      'two tables swapped names',
      'ALTER TABLE swap.t RENAME TO was; ALTER TABLE swap.hidden RENAME TO t',
    ],
  ];

  test.each(SWAPS)('is withheld when %s', async (_, swap) => {
    await sql(`DROP SCHEMA IF EXISTS swap CASCADE; CREATE SCHEMA swap;
      CREATE TABLE swap.t (plain text, secret text); INSERT INTO swap.t VALUES ('open', 'hidden-1');
      CREATE TABLE swap.hidden (plain text); INSERT INTO swap.hidden VALUES ('hidden-2')`);
    await real.parts().catalog.refresh();
    const grant = grantOf({
      rules: ['allow select on swap.*'],
      masks: ['swap.t.secret full', 'swap.hidden.plain full'],
    });
    await using engine = await startBench({
      target: target(),
      ...real.parts(),
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    const again = [bind({ statement: 's' }), execute(), sync];
    const first = await client.ask([
      parse('SELECT plain FROM swap.t', 's'),
      describeStatement('s'),
      ...again,
    ]);
    expect(rows(first)).toEqual([['open']]);
    const second = await client.ask(again);
    expect([rows(second), letters(second)]).toEqual([[['open']], '2 D C Z']);
    await sql(swap);
    const third = await client.ask(again);
    expect([rows(third), errors(third)]).toMatchObject([[], [{ R: 'HOOP_RESULT_MISMATCH' }]]);
  });

  test('gets one description, and the client sees only what it asked for', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    await client.ask([parse('SELECT name FROM app.people', 's'), sync]);
    const bound = [bind({ statement: 's' }), execute(), sync];
    for (const expected of ['2 D C Z', '2 D C Z']) {
      expect(letters(await client.ask(bound))).toBe(expected);
    }
    const told = [bind({ statement: 's' }), describePortal(), execute(), sync];
    expect(letters(await client.ask(told))).toBe('2 T D C Z');
  });
});
