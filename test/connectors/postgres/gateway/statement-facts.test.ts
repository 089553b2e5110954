/**
 * What goes on record of what a statement showed, used and wrote, and from there into the index: through
 * the engine, with a real server. An auditor reads these rows as proof, so each case says all of them.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SessionIndex } from '../../../../src/gateway/index/session-index.ts';
import { type Store, sql as sqlOf } from '../../../../src/gateway/store/store.ts';
import { eventJson } from '../../../../src/recording/formats/event-json.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import { NO_EVENTS } from '../../../gateway/no-events.ts';
import { DRIVERS, type TestStores, testStores } from '../../../gateway/store/test-stores.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { bind, copyDone, execute, message, parse, query, RawClient, sync } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE SCHEMA app;
  CREATE TABLE app.people (id int PRIMARY KEY, name text, email text, ssn text, note jsonb);
  INSERT INTO app.people SELECT i, 'name ' || i, 'p' || i || '@example.com', '078-05-11' || i, '{"a": 1}'
    FROM generate_series(1, 9) i;
  CREATE TABLE app.orders (id int PRIMARY KEY, person int REFERENCES app.people ON DELETE CASCADE, total numeric, memo text);
  INSERT INTO app.orders SELECT i, i, i * 10, 'card 4111 1111 1111 1111' FROM generate_series(1, 9) i;
  CREATE TABLE app.copies (id int, what text);
  CREATE VIEW app.contacts AS SELECT id, name || ' <' || email || '>' AS contact FROM app.people WHERE ssn IS NOT NULL;
  CREATE FUNCTION app.any_email() RETURNS text LANGUAGE sql STABLE AS 'SELECT email FROM app.people LIMIT 1';
  CREATE FUNCTION app.people_of(int) RETURNS SETOF app.people LANGUAGE sql STABLE AS 'SELECT * FROM app.people WHERE id = $1';
  CREATE TABLE app.log (at timestamptz DEFAULT now(), what text);
  CREATE TABLE app.audited (id int, v text);
  CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO app.log (what) VALUES (NEW.v); RETURN NEW; END $$;
  CREATE TRIGGER audit AFTER INSERT ON app.audited FOR EACH ROW EXECUTE FUNCTION app.audit();
  CREATE TABLE app.parts (id int, v text) PARTITION BY LIST (id);
  CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES IN (1);
  INSERT INTO app.parts VALUES (1, 'x');
  CREATE TABLE app.ruled (id int);
  CREATE RULE shows AS ON DELETE TO app.ruled DO INSTEAD SELECT email FROM app.people;
`);
const real = realEngine(target);
/** What hides ssn, and what everybody may do. */
const grant = grantOf({ rules: ['allow *'], masks: ['app.people.ssn full writable'] });
const open = grantOf({ rules: ['allow *'] });
const strict = grantOf({ rules: ['allow select on app.orders'] });

interface Expected {
  readonly clear?: string;
  readonly masked?: string;
  readonly used?: string;
  readonly written?: string;
  readonly asked?: string;
  readonly unknown?: string;
  readonly rows?: number | 'none';
  readonly sql_state?: string;
  readonly effect?: string;
  readonly results?: number;
}

interface Case extends Expected {
  readonly sql: string | readonly (Uint8Array | Uint8Array[])[];
  readonly under?: typeof grant;
  /** Statement that is looked at, from 1; default: the last. */
  readonly at?: number;
  /** How many there are. */
  readonly statements?: number;
}

const P = (columns: string) =>
  columns
    .split(' ')
    .map((column) => `app.people.${column}`)
    .join(' ');
const O = (columns: string) =>
  columns
    .split(' ')
    .map((column) => `app.orders.${column}`)
    .join(' ');

const CASES: readonly Case[] = [
  { sql: 'SELECT * FROM app.orders', clear: O('id memo person total'), rows: 9 },
  { sql: 'SELECT * FROM app.people', clear: P('email id name note'), masked: P('ssn'), rows: 9 },
  {
    sql: "SELECT name FROM app.people WHERE email = 'p1@example.com'",
    clear: P('name'),
    used: P('email'),
    rows: 1,
  },
  { sql: 'SELECT contact FROM app.contacts', clear: P('email name'), rows: 9 },
  {
    sql: "SELECT id FROM app.contacts WHERE contact LIKE '%p1@%'",
    clear: P('id'),
    used: P('email name'),
    rows: 1,
  },
  { sql: 'SELECT name || email FROM app.people', clear: P('email name'), rows: 9 },
  {
    sql: 'SELECT name, name || ssn FROM app.people',
    under: grantOf({ rules: ['allow *'], masks: ['app.people.ssn full'] }),
    clear: P('name'),
    masked: P('ssn'),
    rows: 9,
  },
  {
    sql: 'SELECT ssn, id, ssn AS again FROM app.people',
    clear: P('id'),
    masked: P('ssn'),
    rows: 9,
  },
  { sql: 'SELECT count(*) FROM app.people', rows: 1 },
  { sql: "SELECT count(*) FROM app.people WHERE name > 'n'", used: P('name'), rows: 1 },
  { sql: 'SELECT count(email) FROM app.people', used: P('email'), rows: 1 },
  { sql: 'SELECT max(email), min(name) FROM app.people', clear: P('email name'), rows: 1 },
  { sql: 'SELECT sum(total) FROM app.orders', clear: O('total'), rows: 1 },
  { sql: "SELECT string_agg(email, ',') FROM app.people", clear: P('email'), rows: 1 },
  {
    sql: 'SELECT array_agg(id ORDER BY email) FROM app.people',
    clear: P('id'),
    used: P('email'),
    rows: 1,
  },
  {
    sql: 'WITH x AS (SELECT email AS e, ssn FROM app.people) SELECT e FROM x',
    clear: P('email'),
    used: P('ssn'),
    rows: 9,
  },
  {
    sql: 'WITH RECURSIVE r(n, e) AS (SELECT 1, email FROM app.people WHERE id = 1 UNION ALL SELECT n + 1, e FROM r WHERE n < 3) SELECT e FROM r',
    clear: P('email'),
    used: P('id'),
    rows: 3,
  },
  {
    sql: 'SELECT (SELECT email FROM app.people p WHERE p.id = o.person) FROM app.orders o',
    clear: P('email'),
    used: `${O('person')} ${P('id')}`,
    rows: 9,
  },
  {
    sql: "SELECT o.id FROM app.orders o JOIN app.people p ON p.id = o.person WHERE p.name = 'name 1'",
    clear: O('id'),
    used: `${O('person')} ${P('id name')}`,
    rows: 1,
  },
  {
    sql: 'SELECT o.person FROM app.orders o JOIN app.people p ON p.id = o.person',
    clear: `${O('person')} ${P('id')}`,
    rows: 9,
  },
  {
    sql: 'SELECT email FROM app.people UNION SELECT memo FROM app.orders',
    clear: `${O('memo')} ${P('email')}`,
    rows: 10,
  },
  {
    sql: 'SELECT p FROM app.people p WHERE id = 1',
    under: open,
    clear: P('* email id name note ssn'),
    rows: 1,
  },
  {
    sql: 'SELECT row_to_json(p) FROM app.people p WHERE id = 1',
    under: open,
    clear: P('* email id name note ssn'),
    rows: 1,
  },
  {
    sql: 'SELECT row_to_json(p) FROM app.people p WHERE id = 1',
    clear: P('* email id name note'),
    masked: P('ssn'),
    rows: 1,
  },
  { sql: 'SELECT name FROM app.people WHERE false', clear: '', rows: 0 },
  {
    sql: 'SELECT CASE WHEN ssn IS NULL THEN name ELSE email END FROM app.people',
    under: open,
    clear: P('email name'),
    used: P('ssn'),
    rows: 9,
  },
  { sql: 'SELECT id FROM app.people ORDER BY name', clear: P('id'), used: P('name'), rows: 9 },
  { sql: 'SELECT DISTINCT name FROM app.people', clear: P('name'), rows: 9 },
  { sql: 'SELECT app.any_email()', under: open, unknown: 'returned used written', rows: 1 },
  {
    sql: 'SELECT name FROM app.people_of(1)',
    under: open,
    unknown: 'returned used written',
    rows: 1,
  },
  { sql: 'SELECT v FROM app.parts', clear: 'app.parts.v app.parts_1.v', rows: 1 },
  { sql: 'VALUES (1), (2)', rows: 2 },
  { sql: 'EXPLAIN SELECT email FROM app.people', used: P('email'), rows: 1 },
  {
    sql: 'INSERT INTO app.copies SELECT id, email FROM app.people',
    used: P('email id'),
    written: 'app.copies.id app.copies.what',
    rows: 0,
  },
  {
    sql: "INSERT INTO app.copies VALUES (1, 'x') RETURNING what",
    clear: 'app.copies.what',
    written: 'app.copies.id app.copies.what',
    rows: 1,
  },
  {
    sql: "INSERT INTO app.audited VALUES (1, 'x')",
    unknown: 'returned used written',
    written: 'app.audited.id app.audited.v',
    rows: 0,
  },
  {
    sql: "UPDATE app.people SET name = upper(name) WHERE email = 'p2@example.com' RETURNING id, ssn",
    clear: P('id'),
    masked: P('ssn'),
    used: P('email name'),
    written: P('name'),
    rows: 1,
  },
  {
    sql: 'DELETE FROM app.orders WHERE total > 85 RETURNING memo',
    clear: O('memo'),
    used: O('total'),
    written: 'app.orders.*',
    rows: 1,
  },
  {
    sql: 'DELETE FROM app.people WHERE id = 8',
    used: P('id'),
    written: 'app.orders.* app.people.*',
    rows: 0,
  },
  { sql: 'TRUNCATE app.copies', written: 'app.copies.*', rows: 0 },
  { sql: 'COPY app.people (name, ssn) TO STDOUT', clear: P('name'), masked: P('ssn'), rows: 8 },
  { sql: 'COPY app.people (name, email) TO STDOUT', under: open, clear: P('email name'), rows: 8 },
  {
    sql: 'COPY (SELECT email FROM app.people WHERE id < 3) TO STDOUT',
    clear: P('email'),
    used: P('id'),
    rows: 2,
  },
  {
    sql: [
      Buffer.concat([
        query('COPY app.copies (what) FROM STDIN'),
        message('d', Buffer.from('x\n')),
        copyDone,
      ]),
    ],
    written: 'app.copies.what',
    rows: 0,
  },
  {
    sql: [
      query('BEGIN; DECLARE c CURSOR FOR SELECT email FROM app.people'),
      query('FETCH 2 FROM c'),
    ],
    clear: P('email'),
    rows: 2,
  },
  { sql: 'BEGIN; DECLARE c CURSOR FOR SELECT email FROM app.people', clear: '', rows: 0 },
  {
    sql: [query('PREPARE p AS SELECT email FROM app.people WHERE id = $1'), query('EXECUTE p (1)')],
    clear: P('email'),
    used: P('id'),
    rows: 1,
  },
  // What it stands for is looked up each time that it runs: it is one statement all the same.
  {
    sql: [
      [query('PREPARE p AS SELECT email FROM app.people WHERE id = $1')],
      [parse('EXECUTE p (1)', 's'), sync],
      [bind({ statement: 's' }), execute(), sync],
      [bind({ statement: 's' }), execute(), sync],
    ].map((one) => Buffer.concat(one)),
    at: 2,
    clear: P('email'),
    used: P('id'),
    rows: 2,
    results: 2,
    statements: 2,
  },
  {
    sql: [
      [query('PREPARE p AS SELECT email FROM app.people WHERE id = $1')],
      [parse('EXECUTE p (1)', 's'), sync],
      [bind({ statement: 's' }), execute(), sync],
      [query('DEALLOCATE p')],
      [query('PREPARE p AS SELECT email FROM app.people WHERE id < $1')],
      [bind({ statement: 's' }), execute(), sync],
      [query('DEALLOCATE p')],
      [query('PREPARE p AS SELECT email FROM app.people WHERE name > $1::text')],
      [bind({ statement: 's' }), execute(), sync],
    ].map((one) => Buffer.concat(one)),
    clear: P('email'),
    used: P('name'),
    rows: 8,
    statements: 8,
  },
  {
    sql: [
      [query('BEGIN; DECLARE c CURSOR FOR SELECT email FROM app.people')],
      [
        parse('FETCH 2 FROM c', 's'),
        bind({ statement: 's' }),
        execute('', 1),
        execute('', 1),
        sync,
      ],
      [bind({ statement: 's' }), execute(), sync],
    ].map((one) => Buffer.concat(one)),
    at: 3,
    clear: P('email'),
    rows: 4,
    results: 3,
    statements: 3,
  },
  { sql: 'PREPARE p AS SELECT email FROM app.people', clear: '', rows: 0 },
  {
    sql: [
      [parse('SELECT name FROM app.people WHERE id = $1', 's'), sync],
      [bind({ statement: 's', values: ['1'] }), execute(), sync],
      [bind({ statement: 's', values: ['2'] }), execute(), sync],
    ].map((one) => Buffer.concat(one)),
    clear: P('name'),
    used: P('id'),
    rows: 2,
    results: 2,
  },
  {
    sql: [
      Buffer.concat([
        parse('SELECT name FROM app.people'),
        bind({ portal: 'p' }),
        execute('p', 2),
        execute('p', 3),
        sync,
      ]),
    ],
    clear: P('name'),
    rows: 5,
    results: 2,
  },
  {
    sql: [Buffer.concat([parse('SELECT name FROM app.people'), bind(), sync])],
    clear: '',
    rows: 'none',
    results: 0,
  },
  {
    sql: 'SELECT 10 / (id - 4), name FROM app.people ORDER BY id',
    clear: '',
    rows: 0,
    sql_state: '22012',
  },
  {
    sql: 'SELECT 10 / (id - 4), name FROM app.people WHERE id < 7',
    clear: P('id name'),
    sql_state: '22012',
  },
  { sql: 'SELECT email FROM app.people', under: strict, asked: P('email'), effect: 'refuse' },
  {
    sql: 'DELETE FROM app.orders WHERE total > 1',
    under: strict,
    asked: O('total'),
    effect: 'refuse',
  },
  { sql: 'SELECT nope FROM app.people', unknown: 'asked', effect: 'fail' },
  { sql: 'SELEC 1', effect: 'fail' },
  { sql: '', rows: 0 },
  {
    sql: 'SELECT email FROM app.people; SELECT id FROM app.orders',
    clear: P('email'),
    rows: 8,
    at: 1,
  },
  {
    sql: 'SELECT email FROM app.people',
    under: grantOf({ passthrough: true }),
    unknown: 'returned used written',
    rows: 8,
  },
  // A rule that answers with rows of its own.
  {
    sql: 'DELETE FROM app.ruled',
    under: open,
    unknown: 'returned used written',
    written: 'app.ruled.*',
    rows: 8,
  },
  // Values of any column, by another name.
  {
    sql: "SELECT most_common_vals FROM pg_stats WHERE tablename = 'nope'",
    under: open,
    used: 'pg_catalog.pg_stats.tablename',
    unknown: 'returned',
    rows: 0,
  },
  { sql: 'SELECT data FROM pg_largeobject', under: open, unknown: 'returned', rows: 0 },
  { sql: 'LISTEN c', under: open, unknown: 'returned', rows: 0 },
  { sql: 'DO $$ BEGIN PERFORM 1; END $$', under: open, unknown: 'returned used written', rows: 0 },
];

const storesOf = testStores();
const stores: TestStores[] = [];
const indexes: { readonly store: Store; readonly index: SessionIndex }[] = [];
const NOW = Date.UTC(2026, 0, 1);
let sessions = 0;

beforeAll(async () => {
  for (const driver of DRIVERS) {
    const opened = await storesOf(driver);
    stores.push(opened);
    const store = await opened.open();
    const onFault = (error: unknown): never => {
      throw error;
    };
    const index = new SessionIndex(
      store,
      { id: 'node', term: 1 },
      () => NOW,
      onFault,
      () => false,
      NO_EVENTS,
    );
    indexes.push({ store, index });
  }
});
afterAll(async () => {
  for (const one of stores) await one[Symbol.asyncDispose]();
});

/** What the engine tells of these messages, sent one after the other's answer. */
async function eventsOf(
  messages: readonly Uint8Array[],
  under: typeof grant,
): Promise<readonly RecordingEvent[]> {
  await using engine = await startBench({ target: target(), ...real.parts(), grant: () => under });
  await using client = await RawClient.open(engine.port);
  for (const one of messages) await client.ask([one]);
  client.socket.destroy();
  await engine.idle();
  return engine.events;
}

interface Row {
  readonly [column: string]: unknown;
}

/** @returns the rows of the session's statements, with the names of what they touch by kind */
async function indexed(
  { store, index }: { readonly store: Store; readonly index: SessionIndex },
  events: readonly RecordingEvent[],
  isRebuilt: boolean,
): Promise<readonly Row[]> {
  sessions += 1;
  const id = `01890a5d-ac96-774b-bcce-${String(sessions).padStart(12, '0')}`;
  await index.start({ ...SESSION, id });
  for (const event of events) index.event(id, event);
  await index.flush();
  if (isRebuilt) await index.rebuild(id, recorded(events));
  const rows = await store.all(
    sqlOf(`SELECT s.* FROM statements s JOIN sessions ON number = s.session
      WHERE sessions.id = $id ORDER BY stream, statement`),
    { id },
  );
  const found: Row[] = [];
  for (const row of rows) {
    const facts = await store.all(FACTS, { touched: Number(row['touched']) });
    const classes = await store.all(CLASSES, { statement: Number(row['id']) });
    const kinds = Map.groupBy(facts, ({ kind }) => String(kind));
    const names = (kind: string) => (kinds.get(kind) ?? []).map(({ name }) => name).join(' ');
    const { id: _, session, touched, ...rest } = row;
    const all = {
      classes: JSON.stringify(classes),
      write: names('write'),
      looked: names('looked'),
    };
    const by = Object.fromEntries(KINDS.map((kind) => [kind, names(kind)]));
    found.push({ ...rest, ...all, ...by });
  }
  return found;
}

const KINDS = ['clear', 'masked', 'used', 'written', 'asked', 'unknown'] as const;
const FACTS = sqlOf('SELECT kind, name FROM touched_facts WHERE touched = $touched ORDER BY name');
const CLASSES = sqlOf(
  'SELECT class, count, clear FROM statement_classes WHERE statement = $statement ORDER BY class',
);
const SESSION = {
  target: 'db',
  kind: 'postgres',
  principal: {
    kind: 'person',
    issuer: 'https://idp.test',
    sub: 'u1',
    name: 'devin',
    email: undefined,
    groups: [],
    roles: [],
  },
  family: 'f1',
  run: undefined,
  parentRun: undefined,
  program: undefined,
  reason: undefined,
  policyCommit: 'c0ffee',
  recording: 'full',
  clientVersion: '0.1.0',
  startedMs: 0,
  expiresMs: 1,
} as const;

/** As the recording has them. */
async function* recorded(events: readonly RecordingEvent[]) {
  for (const event of events) {
    const read: RecordingEvent = JSON.parse(eventJson(event));
    yield { event: read, timeMs: NOW };
  }
}

/** In what was returned there are columns only where something was returned. */
function answerOf(row: Row | undefined, expected: Expected): unknown {
  const isReturned = Number(row?.['bytes'] ?? 0) > 0;
  const answer = Object.fromEntries(
    [...KINDS, 'effect', ...Object.keys(expected)].map((key) => [key, row?.[key] ?? 'none']),
  );
  return isReturned ? answer : { ...answer, clear: '', masked: '' };
}

test.each(CASES)('$sql', async ({ sql, under, at, statements, ...expected }) => {
  const events = await eventsOf(
    typeof sql === 'string' ? [query(sql)] : sql.flat(),
    under ?? grant,
  );
  const [first, ...others] = await Promise.all(indexes.map((one) => indexed(one, events, false)));
  const again = await Promise.all(indexes.map((one) => indexed(one, events, true)));
  for (const rows of [...others, ...again]) expect(rows).toEqual(first);
  if (statements !== undefined) expect(first).toHaveLength(statements);
  expect(answerOf(first?.at((at ?? 0) - 1), expected)).toEqual({
    ...{ clear: '', masked: '', used: '', written: '', asked: '', unknown: '', effect: 'allow' },
    ...expected,
  });
});
