/** JSON documents that statements make of masked columns, through the engine to a real server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  describePortal,
  errors,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

// Every masked value has SECRET in it, so that a test can see it in whatever comes.
const { target } = testTarget(`
  CREATE SCHEMA shop; ALTER DATABASE postgres SET search_path = shop, public; SET search_path = shop;
  CREATE TABLE customers (id int PRIMARY KEY, gone int, name text, email text, token text, born date,
    balance numeric, note json);
  ALTER TABLE customers DROP COLUMN gone;
  INSERT INTO customers VALUES
    (1, 'Ada', 'ada.SECRET@mail.example', 'SECRET-1', '1815-12-10', 12345678901234567890.10, '{"k": 1.0, "k": 2}'),
    (2, 'Bob "B" \\ é', NULL, 'SECRET-2', NULL, 1.50, NULL);
  CREATE TABLE vips (rank int) INHERITS (customers);
  INSERT INTO vips VALUES (3, 'Eve', 'eve.SECRET@mail.example', 'SECRET-3', NULL, 3, NULL, 7);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int, title text);
  INSERT INTO orders VALUES (10, 1, 'tea'), (11, 1, 'ink'), (12, 2, 'bat');
  CREATE TABLE snapshots (id int, customer customers, history customers[]);
  INSERT INTO snapshots SELECT 1, c, ARRAY[c] FROM ONLY customers c WHERE id = 1;
  CREATE VIEW people (nr, mail) AS SELECT id, email FROM ONLY customers;
  CREATE EXTENSION citext; CREATE EXTENSION hstore;
  CREATE TYPE mood AS ENUM ('SECRET-mood', 'other'); CREATE TYPE odd AS ENUM ('SECRET-odd');
  CREATE DOMAIN paper AS jsonb; CREATE DOMAIN phrase AS text;
  CREATE TABLE kinds (id int, c citext, m mood, l phrase, v varchar(20), b char(12), n name, p paper,
    h hstore, a text[], u uuid, x xml, o odd, y bytea, r int4range);
  INSERT INTO kinds VALUES (1, 'SECRET-c', 'SECRET-mood', 'SECRET-l', 'SECRET-v', 'SECRET-b', 'SECRET-n',
    '{"k": "SECRET-p"}', 'k=>SECRET-h', '{SECRET-a}', gen_random_uuid(), '<a>SECRET</a>', 'SECRET-odd',
    'SECRET-y', '[1,2]');
  CREATE FUNCTION told(odd) RETURNS json LANGUAGE sql AS 'SELECT to_json($1::text)';
  CREATE CAST (odd AS json) WITH FUNCTION told(odd);
  CREATE VIEW docs AS SELECT row_to_json(q) AS d, 1 AS n
    FROM ONLY customers c, LATERAL (SELECT 6 AS id, c.token) q WHERE c.id = 1;
  CREATE TYPE swapped AS (f2 text, f1 text);
  CREATE DOMAIN label AS varchar(2);
`);
const grant = grantOf({
  rules: ['allow *'],
  masks: [
    'shop.customers.email partial',
    'shop.customers.token full',
    'shop.customers.born full',
    'shop.customers.balance null',
    ...['c', 'm', 'l', 'v', 'b', 'n', 'p', 'h', 'a', 'u', 'x', 'o', 'y', 'r'].map(
      (column) => `shop.kinds.${column} hash`,
    ),
  ],
  inference: 'deny',
});
const real = realEngine(target);

let engine: Bench;
let client: RawClient;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
  client = await RawClient.open(engine.port);
  await client.ask([query('SET search_path = shop, public')]);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await engine?.[Symbol.asyncDispose]();
});

const shows = (received: readonly Received[]): boolean =>
  received.some(({ body }) => body.includes('SECRET'));

async function answer(sql: string): Promise<(string | null)[][]> {
  const received = await client.ask([query(sql)]);
  expect(errors(received)).toEqual([]);
  return rows(received);
}

const EMAIL = 'a***@***.example';

const ADA = { id: 1, name: 'Ada', email: EMAIL, token: '****', born: null, balance: null };
const BOB = { id: 2, name: 'Bob "B" \\ é', email: null, token: '****', born: null, balance: null };
/** As the value of a composite column: no part of it is the column itself. */
const COPY = { ...ADA, email: '****', note: { k: 2 } };
const ROWS = [
  { ...ADA, note: { k: 2 } },
  { ...BOB, note: null },
];

describe('a document is masked inside, and nothing else of it is changed', () => {
  test.each<readonly [string, ...(readonly unknown[])]>([
    ['SELECT row_to_json(c) FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT to_jsonb(c.*) FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT row_to_json(c, true) FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT to_jsonb(c)::text FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT jsonb_pretty(to_jsonb(c)) FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT (row_to_json(c)::text)::varchar FROM ONLY customers c ORDER BY id', ...ROWS],
    ['SELECT json_agg(c ORDER BY id) FROM ONLY customers c', ROWS],
    ['SELECT array_to_json(array_agg(row_to_json(c) ORDER BY id)) FROM ONLY customers c', ROWS],
    ['SELECT to_json(array_agg(c ORDER BY id)) FROM ONLY customers c', ROWS],
    ['SELECT to_json(ARRAY(SELECT c FROM ONLY customers c ORDER BY id))', ROWS],
    ['SELECT to_json(ARRAY[c, c]) FROM ONLY customers c WHERE id = 1', [ROWS[0], ROWS[0]]],
    // Rows of children have the columns of the table that is asked for.
    [
      'SELECT row_to_json(c) FROM customers c WHERE id = 3',
      { ...ADA, id: 3, name: 'Eve', email: 'e***@***.example', note: null },
    ],
    [
      'SELECT row_to_json(p) FROM people p ORDER BY nr',
      { nr: 1, mail: EMAIL },
      { nr: 2, mail: null },
    ],
    [
      'SELECT row_to_json(q) FROM (SELECT email AS "e é", id FROM ONLY customers) q (a) ORDER BY id',
      { a: EMAIL, id: 1 },
      { a: null, id: 2 },
    ],
    [
      'SELECT row_to_json(j) FROM (orders o JOIN ONLY customers c ON c.id = o.customer_id) AS j (nr, c, what, i, n) WHERE nr = 10',
      {
        nr: 10,
        c: 1,
        what: 'tea',
        i: 1,
        n: 'Ada',
        email: EMAIL,
        token: '****',
        born: null,
        balance: null,
        note: { k: 2 },
      },
    ],
    ["SELECT row_to_json(v) FROM (VALUES (1, 'x')) v (a)", { a: 1, column2: 'x' }],
    [
      'WITH c (a, b) AS MATERIALIZED (SELECT id, email FROM ONLY customers) SELECT json_agg(d ORDER BY x) FROM c AS d (x)',
      [
        { x: 1, b: EMAIL },
        { x: 2, b: null },
      ],
    ],
    [
      'SELECT row_to_json(ROW(c.id, c.email)) FROM ONLY customers c WHERE id = 1',
      { f1: 1, f2: EMAIL },
    ],
    ['SELECT row_to_json(ROW(c)) FROM ONLY customers c WHERE id = 1', { f1: ROWS[0] }],
    ['SELECT row_to_json(s) FROM snapshots s', { id: 1, customer: COPY, history: [COPY] }],
    ['SELECT to_json(history) FROM snapshots', [COPY]],
    [
      "SELECT jsonb_build_object('id', id, 'e', email, 'b', born, 7, token) FROM ONLY customers WHERE id = 1",
      { id: 1, e: EMAIL, b: null, 7: '****' },
    ],
    ["SELECT json_build_object(('a')::text, email) FROM ONLY customers WHERE id = 1", { a: EMAIL }],
    [
      'SELECT json_build_array(id, email, born, token) FROM ONLY customers WHERE id = 1',
      [1, EMAIL, null, '****'],
    ],
    ['SELECT json_object_agg(id, email) FROM ONLY customers', { 1: EMAIL, 2: null }],
    ['SELECT json_agg(email ORDER BY id) FROM ONLY customers', [EMAIL, null]],
    ['SELECT json_agg(born) FROM ONLY customers', [null, null]],
    ['SELECT to_json(email) FROM ONLY customers WHERE id = 1', EMAIL],
    ['SELECT json_agg(c ORDER BY id) -> 0 FROM ONLY customers c', ROWS[0]],
    ["SELECT row_to_json(c) -> 'email' FROM ONLY customers c WHERE id = 1", EMAIL],
    [
      "SELECT json_build_array(email, json_build_object('a', id)) -> 1 -> 'a' FROM ONLY customers c WHERE id = 1",
      1,
    ],
    ['SELECT row_to_json(x) FROM docs x', { d: { id: 6, token: '****' }, n: 1 }],
    [
      "SELECT jsonb_build_object('a', id) || jsonb_build_object('b', email) FROM ONLY customers WHERE id = 1",
      { a: 1, b: EMAIL },
    ],
    [
      'SELECT to_jsonb(c) || \'{"extra": {"x": [1]}}\' FROM ONLY customers c WHERE id = 1',
      { ...ROWS[0], extra: { x: [1] } },
    ],
    ["SELECT coalesce(json_agg(c), '[]') FROM ONLY customers c WHERE false", []],
    [
      'SELECT CASE WHEN c.id > 0 THEN row_to_json(c) END FROM ONLY customers c ORDER BY id',
      ...ROWS,
    ],
    [
      "SELECT coalesce(row_to_json(c), '{}'::json) FROM orders LEFT JOIN ONLY customers c ON c.id = 99 WHERE orders.id = 10",
      {},
    ],
    [
      "SELECT d FROM ONLY customers c, LATERAL json_build_object('a', c.email) AS d WHERE id = 1",
      { a: EMAIL },
    ],
    [
      "SELECT json_strip_nulls(json_build_object('e', email, 't', token)) FROM ONLY customers ORDER BY id",
      { e: EMAIL, t: '****' },
      { t: '****' },
    ],
    [
      "SELECT JSON_OBJECT('id': id, 'e' VALUE email RETURNING jsonb) FROM ONLY customers WHERE id = 1",
      { id: 1, e: EMAIL },
    ],
    [
      "SELECT JSON_OBJECT('e': email ABSENT ON NULL) FROM ONLY customers ORDER BY id",
      { e: EMAIL },
      {},
    ],
    [
      'SELECT JSON_ARRAY(id, email NULL ON NULL) FROM ONLY customers ORDER BY id',
      [1, EMAIL],
      [2, null],
    ],
    ['SELECT JSON_ARRAY(SELECT email FROM ONLY customers)', [EMAIL]],
    ['SELECT JSON_ARRAYAGG(email NULL ON NULL RETURNING text) FROM ONLY customers', [EMAIL, null]],
    ["SELECT JSON_OBJECTAGG('k': email) FROM ONLY customers WHERE id = 1", { k: EMAIL }],
    ['SELECT JSON_SCALAR(email) FROM ONLY customers WHERE id = 1', EMAIL],
  ])('%s', async (...[sql, ...documents]) => {
    const values = await answer(String(sql));
    expect(values.map(([value]) => JSON.parse(value ?? 'null'))).toEqual(documents);
  });

  test('in binary, too', async () => {
    const sql = 'SELECT to_jsonb(c), row_to_json(c) FROM ONLY customers c WHERE id = 1';
    const received = await client.ask([
      [parse(sql), bind({ formats: [1] }), describePortal(), execute(), sync],
    ]);
    const [[jsonb, json] = []] = rows(received);
    expect(jsonb?.charCodeAt(0)).toBe(1);
    expect([JSON.parse(jsonb?.slice(1) ?? ''), JSON.parse(json ?? '')]).toEqual([ROWS[0], ROWS[0]]);
  });

  test('what is shown keeps its digits and its keys', async () => {
    const sql =
      "SELECT json_build_object('n', note, 'x', 12345678901234567890.10, 'e', email) FROM ONLY customers WHERE id = 1";
    expect(await answer(sql)).toEqual([
      [`{"n" : {"k": 1.0, "k": 2}, "x" : 12345678901234567890.10, "e" : "${EMAIL}"}`],
    ]);
  });
});

describe('where it is not known what stands where, all of the document is masked', () => {
  test.each([
    // Whether the names are those of the alias depends on the server's minor version.
    ['SELECT row_to_json(c) FROM ONLY customers c (token, name, email, id) LIMIT 1'],
    ["SELECT JSON_OBJECT('b': born ABSENT ON NULL) FROM ONLY customers WHERE id = 1"],
    ['SELECT json_strip_nulls(row_to_json(c)) FROM ONLY customers c WHERE id = 1'],
    ['SELECT JSON_ARRAY(born, id) FROM ONLY customers WHERE id = 1'],
    ['SELECT json_agg_strict(born) FROM ONLY customers WHERE id = 1'],
    ['SELECT array_agg(row_to_json(c)) FROM ONLY customers c WHERE id = 1'],
    [
      "WITH RECURSIVE r (n, d) AS (SELECT 1, to_jsonb(1) UNION ALL SELECT n + 1, jsonb_build_object('v', c.token, 'next', d) FROM r JOIN ONLY customers c ON c.id = 1 WHERE n < 4) SELECT d FROM r WHERE n = 4",
    ],
  ])('%s', async (sql) => {
    expect(await answer(sql)).toEqual([[null]]);
  });
});

describe('what computes with a document computes with what is in it', () => {
  test.each([
    ["SELECT JSON_OBJECT(token: 1, 'guess': 2 WITH UNIQUE KEYS) FROM customers"],
    ['SELECT json_object_agg(token, id) FROM customers'],
    ['SELECT json_build_object(token, id) FROM customers'],
    ["SELECT json_object(ARRAY['a', token]) FROM customers"],
    ["SELECT row_to_json(c) ->> 'token' FROM customers c"],
    ['SELECT to_jsonb(c) @> \'{"token": "SECRET-1"}\' FROM customers c'],
    ["SELECT jsonb_path_exists(to_jsonb(c), '$.token') FROM customers c"],
    ['SELECT length(row_to_json(c)::text) FROM customers c'],
    ['SELECT key, value FROM customers c, jsonb_each(to_jsonb(c))'],
    ['SELECT json_agg(DISTINCT to_jsonb(c)) FROM customers c'],
    ['SELECT json_agg(c ORDER BY c.token) FROM customers c'],
    ['SELECT greatest(to_jsonb(c), to_jsonb(c)) FROM customers c'],
    ["SELECT coalesce(to_json(born), '0') FROM customers"],
    ["SELECT coalesce(row_to_json(c) -> 'born', '0') FROM customers c"],
    ['SELECT row_to_json(c) -> name FROM customers c'],
    ['SELECT row_to_json(c) -> token FROM customers c'],
    ['SELECT id FROM customers c WHERE to_json(born) IS NULL'],
    ['SELECT id FROM (SELECT id, born FROM customers) q WHERE q IS NULL'],
    ["SELECT JSON_OBJECT('n': note FORMAT JSON, 't': token) FROM customers"],
    ['SELECT to_json(c)::varchar(20) FROM customers c'],
    ["SELECT json_build_object(VARIADIC ARRAY['a', token]) FROM customers"],
    ["SELECT jsonb_set(to_jsonb(c), '{token}', '1') FROM customers c"],
    ["SELECT (to_jsonb(c))['token'] FROM customers c"],
    ['CREATE TABLE stolen AS SELECT row_to_json(c) AS d FROM customers c'],
    ["SELECT row_to_json(c, token = 'SECRET-1') FROM customers c"],
    ['SELECT json_populate_record(NULL::swapped, row_to_json(c)) FROM customers c'],
    ['SELECT to_json(ROW(id::text, token)::swapped) FROM customers'],
    [
      'SELECT row_to_json(u) FROM unnest(ARRAY(SELECT c FROM customers c)) AS u (token, name, email, id)',
    ],
    ['INSERT INTO orders (id, title) SELECT 77, to_json(c) FROM customers c'],
    ['SELECT DISTINCT to_jsonb(c) FROM customers c'],
    ['SELECT id FROM customers c ORDER BY to_jsonb(c)'],
  ])('%s', async (sql) => {
    const received = await client.ask([query(sql)]);
    expect(errors(received)).toHaveLength(1);
    expect(shows(received)).toBe(false);
  });
});

describe('COPY shows what SELECT shows', () => {
  test.each([
    ['', `{"id":1,"e":"${EMAIL}","n":"Ada"}`, '{"id":2,"e":null,"n":"Bob \\\\"B\\\\" \\\\\\\\ é"}'],
    [
      '(FORMAT csv)',
      `"{""id"":1,""e"":""${EMAIL}"",""n"":""Ada""}"`,
      '"{""id"":2,""e"":null,""n"":""Bob \\""B\\"" \\\\ é""}"',
    ],
  ])('TO STDOUT %s', async (options, ...lines) => {
    const documents =
      'SELECT row_to_json(q) FROM (SELECT id, email AS e, name AS n FROM ONLY customers ORDER BY id) q';
    const received = await client.ask([query(`COPY (${documents}) TO STDOUT ${options}`)]);
    expect(errors(received)).toEqual([]);
    const data = received.filter(({ type }) => type === 'd').map(({ body }) => body.toString());
    expect(data.join('')).toBe(`${lines.join('\n')}\n`);
  });
});

describe('a value in JSON shows what the column shows', () => {
  test.each(['c', 'm', 'l', 'v', 'b', 'n', 'p', 'h', 'a', 'u', 'x', 'y', 'r'])(
    'of the column %s',
    async (column) => {
      const [[plain = null] = []] = await answer(`SELECT ${column} FROM kinds`);
      const sql = `SELECT to_json(q), to_jsonb(q) FROM (SELECT ${column} FROM kinds) q`;
      const [documents = []] = await answer(sql);
      const shown = { [column]: plain };
      expect(documents.map((document) => JSON.parse(document ?? ''))).toEqual([shown, shown]);
    },
  );

  test.each([
    'SELECT to_json(o) FROM kinds',
    'SELECT row_to_json(k) FROM kinds k',
    'SELECT json_agg(ARRAY[o]) FROM kinds',
    "SELECT JSON_OBJECT('o': o) FROM kinds",
  ])('a type with a cast to json of its own runs that: %s', async (sql) => {
    const received = await client.ask([query(sql)]);
    expect(errors(received)).toMatchObject([{ R: 'HOOP_UNTRACEABLE' }]);
    expect(shows(received)).toBe(false);
  });
});
