/** The notice that names masked columns of a result, against a real server. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  report,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE SCHEMA app;
  CREATE TABLE app.people (id int PRIMARY KEY, email text, card text) PARTITION BY LIST (id);
  CREATE TABLE app.people_1 PARTITION OF app.people FOR VALUES IN (1);
  INSERT INTO app.people VALUES (1, 'ann@example.com', '4539148803436467');
  CREATE TABLE app.orders (id int, card text);
  INSERT INTO app.orders VALUES (1, 'x');
`);
const real = realEngine(target);
const masked = grantOf({
  rules: ['allow *'],
  masks: ['app.people.email partial', 'app.people.card full', 'app.orders.card full'],
  inference: 'deny',
});

let engine: Bench;
let grant: Grant = masked;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
afterAll(() => engine[Symbol.asyncDispose]());

const notices = (received: readonly Received[]): string[] =>
  received.filter(({ type }) => type === 'N').map(({ body }) => report(body)['M'] ?? '');

test('it comes in front of the result, once for each column of a connection', async () => {
  await using client = await RawClient.open(engine.port);
  const first = await client.ask([query('SELECT * FROM app.people')]);
  expect(first.map(({ type }) => type).join('')).toBe('NTDCZ');
  expect(notices(first)).toEqual([
    'masked for you in this result: app.people.email (partial), app.people.card (full)',
  ]);
  expect(notices(await client.ask([query('SELECT email FROM app.people')]))).toEqual([]);
  const other = await client.ask([
    parse('SELECT o.card, p.card FROM app.orders o JOIN app.people p USING (id)'),
    bind({}),
    execute(),
    sync,
  ]);
  expect(notices(other)).toEqual(['masked for you in this result: app.orders.card (full)']);
});

test('a column of a table is named that an earlier result of the table did not have', async () => {
  await using client = await RawClient.open(engine.port);
  const said = async (sql: string) => notices(await client.ask([query(sql)]));
  expect(await said('SELECT email FROM app.people')).toHaveLength(1);
  expect(await said('TABLE app.people')).toEqual([
    'masked for you in this result: app.people.card (full)',
  ]);
  expect(await said('TABLE app.people')).toEqual([]);
});

test('nothing is said of results without masked columns', async () => {
  await using client = await RawClient.open(engine.port);
  const received = await client.ask([
    query('SELECT id, email IS NULL, count(*) OVER () FROM app.people'),
  ]);
  expect(notices(received)).toEqual([]);
});

test('of a document it is said that it has masked parts', async () => {
  await using client = await RawClient.open(engine.port);
  const received = await client.ask([query('SELECT row_to_json(p) FROM app.people p')]);
  expect(notices(received)[0]).toContain('app.people.email (in a document)');
});

test('of a COPY it is said each time, unless it is switched off', async () => {
  await using client = await RawClient.open(engine.port);
  const copy = query('COPY app.orders TO STDOUT');
  const said = ['1 column is masked in this copy: app.orders.card'];
  expect(notices(await client.ask([copy]))).toEqual(said);
  expect(notices(await client.ask([copy]))).toEqual(said);
  await client.ask([query('SET hoop.notices = off')]);
  expect(notices(await client.ask([copy]))).toEqual([]);
});

test('SET hoop.notices, and the policy, switch it off', async () => {
  await using client = await RawClient.open(engine.port);
  await client.ask([query('SET hoop.notices = off')]);
  expect(notices(await client.ask([query('TABLE app.people')]))).toEqual([]);
  await client.ask([query('RESET hoop.notices')]);
  expect(notices(await client.ask([query('TABLE app.people')]))).toHaveLength(1);
  grant = { ...masked, generation: 'quiet', notices: 'off' };
  try {
    await using quiet = await RawClient.open(engine.port);
    expect(notices(await quiet.ask([query('TABLE app.people')]))).toEqual([]);
  } finally {
    grant = masked;
  }
});
