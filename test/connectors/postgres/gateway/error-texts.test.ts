/** What of the server's errors and notices passes while columns are masked, against a real server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { query, RawClient, type Received, report } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const SECRET = 'hidden4539148803436467';
const { target, direct } = testTarget(`
  CREATE SCHEMA app;
  CREATE TABLE app.people (id int PRIMARY KEY, card text NOT NULL);
  INSERT INTO app.people VALUES (1, '${SECRET}'), (2, 'x');
  CREATE TABLE app.orders (id int PRIMARY KEY, person int NOT NULL REFERENCES app.people,
    state text CHECK (state <> 'bad'), note text);
  INSERT INTO app.orders VALUES (1, 1, 'new', '');
  CREATE TABLE app.items (id int, ord int REFERENCES app.orders);
  INSERT INTO app.items VALUES (1, 1);
  CREATE TABLE app.keys (id int PRIMARY KEY, code text, card text UNIQUE, "Upper" int UNIQUE,
    person int REFERENCES app.people, UNIQUE (id, person));
  CREATE UNIQUE INDEX ON app.keys (lower(code));
  INSERT INTO app.keys VALUES (1, 'a', '${SECRET}', 1, 1);
  CREATE TABLE app.made (id int PRIMARY KEY, n int, card text,
    made text GENERATED ALWAYS AS (card || n) STORED UNIQUE);
  INSERT INTO app.made VALUES (1, 1, '${SECRET}'), (2, 2, '${SECRET}');
  CREATE FUNCTION app.stored() RETURNS void LANGUAGE sql AS
    $$ INSERT INTO app.keys (id) SELECT 1 FROM app.people $$;
  CREATE FUNCTION app.watch() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE secret text := (SELECT card FROM app.people WHERE id = 1);
  BEGIN
    CASE NEW.note
      WHEN 'raise' THEN RAISE '%', secret USING ERRCODE = '23505', TABLE = secret, CONSTRAINT = secret, HINT = secret;
      WHEN 'name' THEN EXECUTE format('CREATE TABLE app.%I ()', secret); EXECUTE format('CREATE TABLE app.%I ()', secret);
      WHEN 'missing' THEN EXECUTE format('TABLE app.%I', secret);
      WHEN 'cast' THEN PERFORM secret::int;
      WHEN 'notice' THEN RAISE NOTICE 'it is %', secret USING ERRCODE = '42P07', TABLE = secret;
      ELSE NULL;
    END CASE;
    RETURN NEW;
  END $$;
  CREATE TRIGGER watched BEFORE INSERT OR UPDATE ON app.orders FOR EACH ROW EXECUTE FUNCTION app.watch();
  CREATE VIEW app.orders_view AS SELECT id FROM app.orders;
`);
const real = realEngine(target);

/** Each fails, or says something, without a value in it. */
const SAME: readonly string[] = [
  'CREATE SCHEMA app',
  'CREATE TABLE app.orders (id int)',
  'CREATE TABLE IF NOT EXISTS app.orders (id int)',
  'CREATE TABLE no_such_schema.t (id int)',
  'CREATE VIEW app.orders AS SELECT 1',
  'CREATE INDEX orders_pkey ON app.orders (id)',
  'DROP TABLE app.nothing',
  'DROP TABLE IF EXISTS app.nothing',
  'DROP TABLE app.orders',
  'ALTER TABLE app.orders ADD COLUMN state text',
  'ALTER TABLE app.orders DROP COLUMN nothing',
  'ALTER TABLE app.orders ADD CONSTRAINT orders_pkey UNIQUE (note)',
  "INSERT INTO app.orders VALUES (2, NULL, 'new')",
  "INSERT INTO app.orders VALUES (2, 99, 'new')",
  "INSERT INTO app.orders VALUES (1, 1, 'new')",
  "INSERT INTO app.orders VALUES (2, 1, 'bad')",
  "INSERT INTO app.orders (id) VALUES ('x')",
  "UPDATE app.orders SET state = 'bad'",
  'UPDATE app.orders SET id = now()',
  'DELETE FROM app.orders',
  "SELECT id, card FROM app.people WHERE id = 'x'",
  'SELECT card, count(*) FROM app.people',
  'SELECT card FROM app.people, app.orders WHERE id = 1',
  'SET statement_timeout = 1; INSERT INTO app.orders SELECT 100, 1 FROM pg_sleep(5)',
  'BEGIN READ ONLY; DELETE FROM app.items; ',
  'SELECT code::int FROM app.keys',
];

/** Each has the secret in it, where the server says it itself. */
const WITHHELD: readonly string[] = [
  "INSERT INTO app.orders VALUES (2, 1, 'new', 'raise')",
  "INSERT INTO app.orders VALUES (2, 1, 'new', 'name')",
  "INSERT INTO app.orders VALUES (2, 1, 'new', 'missing')",
  "INSERT INTO app.orders VALUES (2, 1, 'new', 'cast')",
  "BEGIN; INSERT INTO app.orders VALUES (2, 1, 'new', 'notice'); ROLLBACK",
  'SELECT card::int FROM app.people',
  'SELECT card::regclass FROM app.people',
  'SELECT card::regtype FROM app.people',
  'SELECT card::regrole FROM app.people',
  'SELECT card::regnamespace FROM app.people',
  'SELECT card::regproc FROM app.people',
  "SELECT (card || '(')::regtype FROM app.people",
  'SELECT (card)::jsonb FROM app.people',
];

/** A key of columns that are not masked, which the server itself has checked, is shown in DETAIL. */
const KEYS: readonly (readonly [text: string, detail: string | undefined])[] = [
  ['INSERT INTO app.keys (id) VALUES (1)', 'Key (id)=(1) already exists.'],
  ['UPDATE app.keys SET person = 99', 'Key (person)=(99) is not present in table "people".'],
  ['DELETE FROM app.people WHERE id = 1', 'Key (id)=(1) is still referenced from table'],
  [`INSERT INTO app.keys (id, card) VALUES (6, '${SECRET}')`, undefined],
  ["INSERT INTO app.keys (id, code) VALUES (7, 'A')", undefined],
  ['INSERT INTO app.keys (id, "Upper") VALUES (8, 1)', undefined],
  ['UPDATE app.made SET id = 2 WHERE id = 1', 'Key (id)=(2) already exists.'],
  // It has a masked value in it.
  ['UPDATE app.made SET n = 2 WHERE id = 1', undefined],
  // A trigger could have put anything into the row.
  ["INSERT INTO app.orders VALUES (1, 1, 'new')", undefined],
  ['SELECT app.stored()', undefined],
  ["INSERT INTO app.orders VALUES (2, 1, 'bad')", undefined],
];

describe('errors and notices while columns are masked', () => {
  let engine: Bench;
  const grant: Grant = {
    ...grantOf({
      rules: ['allow *', 'allow calls of app.stored that may show', 'allow listen'],
      masks: ['app.people.card full', 'app.keys.card full writable', 'app.made.card full'],
      inference: 'allow',
    }),
    notices: 'off',
  };
  beforeAll(async () => {
    engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
  });
  afterAll(() => engine?.[Symbol.asyncDispose]());

  const said = (received: readonly Received[]): Record<string, string>[] =>
    received.filter(({ type }) => type === 'E' || type === 'N').map(({ body }) => report(body));

  async function both(text: string) {
    await using straight = await direct();
    await using through = await RawClient.open(engine.port);
    return {
      server: said(await straight.ask([query(text)])),
      client: said(await through.ask([query(text)])),
    };
  }

  test.each(SAME)('says as the server does: %s', async (text) => {
    const words = (all: Record<string, string>[]) =>
      all.map(({ S, C, M, H, P, t, c, n }) => ({ S, C, M, H, P, t, c, n }));
    const { server, client } = await both(text);
    expect(server).not.toEqual([]);
    expect(words(client)).toEqual(words(server));
    expect(JSON.stringify(client)).not.toContain(SECRET);
  });

  test.each(WITHHELD)('says no value: %s', async (text) => {
    const { server, client } = await both(text);
    expect(JSON.stringify(server)).toContain(SECRET);
    expect(JSON.stringify(client)).toContain('text withheld: it may show a masked value (SQLSTATE');
    expect(JSON.stringify(client)).not.toContain(SECRET);
    expect(client.map(({ C }) => C)).toEqual(server.map(({ C }) => C));
  });

  test.each(KEYS)('DETAIL of %s: %s', async (text, detail) => {
    const { server, client } = await both(text);
    expect(server[0]?.['D']).toBeDefined();
    expect(client[0]?.['C']).toBe(server[0]?.['C']);
    if (detail === undefined) expect(client[0]).not.toHaveProperty('D');
    else expect(client[0]?.['D']).toContain(detail);
  });

  test('DETAIL is shown to an agent as well, of one statement among several', async () => {
    const { rules, ...common } = grant;
    const sides = { principal: rules, agent: rules };
    const agent = {
      name: 'devin',
      file: 'agents/devin.yaml',
      principal: 'erin',
      isAgent: false,
      sides,
    };
    await using acting = await startBench({
      target: target(),
      ...real.parts(),
      grant: () => ({ ...common, rules: [], agent }),
    });
    await using client = await RawClient.open(acting.port);
    const text = 'INSERT INTO app.keys (id) VALUES (9); INSERT INTO app.keys (id) VALUES (1)';
    expect(said(await client.ask([query(text)]))).toMatchObject([
      { C: '23505', D: 'Key (id)=(1) already exists.' },
    ]);
  });

  test('payloads of notifications are masked whole', async () => {
    await using client = await RawClient.open(engine.port);
    await client.ask([query('LISTEN news')]);
    const heard = await client.ask(
      [query(`NOTIFY news, '${SECRET}'`), query('NOTIFY news'), query('SELECT 1')],
      3,
    );
    const bodies = heard.filter(({ type }) => type === 'A').map(({ body }) => body.toString());
    expect(bodies).toHaveLength(2);
    expect(bodies[0]).toContain('news\0****\0');
    expect(bodies[1]).toContain('news\0\0');
  });

  test('what is withheld says why, and what kind of error it is', async () => {
    const { client } = await both('SELECT card::int FROM app.people');
    expect(client).toMatchObject([
      {
        M: 'error text withheld: it may show a masked value (SQLSTATE 22P02, invalid text representation)',
        H: expect.stringContaining('depends on masked columns'),
      },
    ]);
  });
});
