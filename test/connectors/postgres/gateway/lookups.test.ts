/** Lookups of masked columns: real policy, catalog, store and server; raw protocol. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeBind } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { type Budget, DayBudget } from '../../../../src/gateway/index/day-budget.ts';
import { IndexStore } from '../../../../src/gateway/index/index-store.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  describePortal,
  errors,
  execute,
  letters,
  parse,
  query,
  RawClient,
  rows,
  status,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE customers (id int PRIMARY KEY, email text, note text);
  INSERT INTO customers SELECT n, 'user' || n || '@example.org', 'n' FROM generate_series(1, 300) n;
  CREATE TABLE calls (id int);
`);
const real = realEngine(target);

let directory: string;
let store: IndexStore;
let budget: Budget;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-lookups-'));
  store = IndexStore.open(join(directory, 'index.sqlite'));
  budget = new DayBudget('lookups', { store: store.store, clock: Date.now, log: collectLog().log });
});

afterAll(async () => {
  store[Symbol.dispose]();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(() => store.database.exec('DELETE FROM lookups'));

const support = grantOf({
  rules: ['allow select, insert, update, delete on public.*'],
  masks: ['public.customers.email partial lookup'],
  inference: 'deny',
});

function bench(grant: () => Grant = () => support, lookups: Budget = budget): Promise<Bench> {
  return startBench({ target: target(), ...real.parts(), grant, lookups });
}

function used(): number {
  return Number(store.database.prepare('SELECT sum(used) AS n FROM lookups').get()?.['n'] ?? 0);
}

const FIND = 'SELECT id, email FROM customers WHERE email = $1';
const found = (n: number) => [[String(n), expect.stringMatching(/^(?!user\d+@example\.org)/)]];
const find = (n: number) => [bind({ values: [`user${n}@example.org`] }), execute()];

function limited(lookups: number): () => Grant {
  const grant = { ...support, limits: { ...support.limits, lookups } };
  return () => grant;
}

test('those of a text with many statements are counted when it has been recorded, by the catalog of then', async () => {
  const { policy, catalog } = real.parts();
  let isMoved = false;
  await using engine = await startBench({
    ...{ target: target(), policy, catalog, grant: limited(1000), lookups: budget },
    onEvent: ({ type }) => {
      if (type === 'decision' && isMoved) catalog.invalidate?.('all');
      if (type === 'decision') isMoved = false;
    },
  });
  await using client = await RawClient.open(engine.port);
  await client.ask([query('SELECT 1')]);
  await sql('CREATE TABLE meanwhile (id int)');
  isMoved = true;
  const one = "SELECT id, email FROM customers WHERE email = 'user7@example.org'";
  const answers = await client.ask([query(Array(150).fill(one).join(';'))]);
  expect(errors(answers)).toEqual([]);
  expect(rows(answers)).toHaveLength(150);
  expect(used()).toBe(150);
});

test('a Query finds its row, shows the mask, and counts one; what finds nothing counts as well', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const text = "SELECT id, email FROM customers WHERE email = 'user7@example.org'";
  expect(rows(await client.ask([query(text)]))).toEqual(found(7));
  expect(used()).toBe(1);
  expect(rows(await client.ask([query(text.replace('user7', 'nobody'))]))).toEqual([]);
  // The verdict is kept by now, and the statement counts all the same.
  expect(rows(await client.ask([query(text)]))).toEqual(found(7));
  expect(used()).toBe(3);
  expect(engine.events.filter(({ type }) => type === 'lookups')).toMatchObject([
    { candidates: 1, left: 99 },
    { candidates: 1, left: 98 },
    { candidates: 1, left: 97 },
  ]);
});

test('counts and EXISTS are right', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const where = "FROM customers WHERE email IN ('user1@example.org', 'user2@example.org', 'x')";
  expect(rows(await client.ask([query(`SELECT count(*) ${where}`)]))).toEqual([['2']]);
  expect(rows(await client.ask([query(`SELECT EXISTS (SELECT 1 ${where})`)]))).toEqual([['t']]);
  expect(used()).toBe(6);
});

test('a prepared statement counts each time that it is executed, and the 101st time it does not run', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  await client.ask([parse(FIND, 'find'), sync]);
  expect(used()).toBe(0);
  for (let n = 1; n <= 100; n += 1) {
    const values = [`user${n}@example.org`];
    const received = await client.ask([bind({ statement: 'find', values }), execute(), sync]);
    expect(rows(received)).toHaveLength(1);
  }
  const values = ['user101@example.org'];
  const received = await client.ask([bind({ statement: 'find', values }), execute(), sync]);
  expect(letters(received)).toBe('2 E Z');
  expect(errors(received)[0]).toMatchObject({
    C: '54000',
    R: 'HOOP_LOOKUPS',
    M: 'the statement looks up one value of masked columns, and none is left today',
    D: 'The policy permits you 100 a day on this target, across all your sessions and agents. This statement used none.',
    H: expect.stringMatching(/^The next day begins at \d{4}-\d\d-\d\d 00:00:00 UTC\./),
  });
  expect(used()).toBe(100);
  // What looks nothing up goes on.
  expect(rows(await client.ask([query('SELECT count(*) FROM customers')]))).toEqual([['300']]);
  const refused = engine.events.filter((event) => event.type === 'decision' && event.code);
  expect(refused).toMatchObject([{ effect: 'refuse', code: 'HOOP_LOOKUPS', verbs: ['select'] }]);
});

test('two sessions at the edge: one of them passes', async () => {
  await using engine = await bench(limited(1));
  await using other = await bench(limited(1));
  await using one = await RawClient.open(engine.port);
  await using two = await RawClient.open(other.port);
  const ask = (client: RawClient, n: number) => client.ask([parse(FIND), ...find(n), sync]);
  const answers = await Promise.all([ask(one, 1), ask(two, 2)]);
  expect(answers.map(letters).sort()).toEqual(['1 2 D C Z', '1 2 E Z']);
  expect(used()).toBe(1);
});

describe('values in an array', () => {
  const MANY = 'SELECT count(*) FROM customers WHERE email = ANY ($1)';
  const text = (values: readonly string[]) => bind({ values: [`{${values.join(',')}}`] });
  const users = (count: number) =>
    Array.from({ length: count }, (_, index) => `user${index + 1}@example.org`);

  function binary(values: readonly (string | null)[], length = values.length): Uint8Array {
    const header = Buffer.alloc(20);
    header.writeInt32BE(1, 0);
    header.writeInt32BE(25, 8);
    header.writeInt32BE(length, 12);
    header.writeInt32BE(1, 16);
    const elements = values.flatMap((value) => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(value === null ? -1 : value.length);
      return value === null ? [size] : [size, Buffer.from(value)];
    });
    const array = Buffer.concat([header, ...elements]);
    return encodeBind({
      portal: '',
      statement: '',
      parameterFormats: [1],
      parameters: [array],
      resultFormats: [],
    });
  }

  test('each counts, in text and in binary format', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    expect(rows(await client.ask([parse(MANY), text(users(30)), execute(), sync]))).toEqual([
      ['30'],
    ]);
    expect(used()).toBe(30);
    const values = [...users(3), null];
    expect(rows(await client.ask([parse(MANY), binary(values), execute(), sync]))).toEqual([['3']]);
    expect(used()).toBe(34);
    expect(rows(await client.ask([parse(MANY), text([]), execute(), sync]))).toEqual([['0']]);
    expect(used()).toBe(34);
  });

  test('a thousand are refused, and none is used', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    for (const values of [text(users(1000)), binary(users(1000))]) {
      const received = await client.ask([parse(MANY), values, execute(), sync]);
      expect(errors(received)[0]).toMatchObject({
        R: 'HOOP_LOOKUPS',
        M: 'the statement looks up 1000 values of masked columns, and 100 are left today',
      });
    }
    expect(used()).toBe(0);
  });

  test('what cannot be counted is refused', async () => {
    await using engine = await bench();
    await using client = await RawClient.open(engine.port);
    const large = 'x'.repeat(70_000);
    for (const values of [
      bind({ values: ['[0:1]={a,b}'] }),
      text([large]),
      text(Array.from({ length: 30 }, () => large)),
    ]) {
      const received = await client.ask([parse(MANY), values, execute(), sync]);
      expect(errors(received)[0]).toMatchObject({
        R: 'HOOP_LOOKUPS',
        M: 'the values that the statement looks up cannot be counted',
      });
    }
    // The server itself takes none of these.
    for (const values of [
      bind({ values: ['{a,b'] }),
      binary(users(3), 2),
      binary(users(3), 4),
      binary([], 3),
    ]) {
      expect(letters(await client.ask([parse(MANY), values, execute(), sync]))).toBe('1 E Z');
    }
    expect(used()).toBe(0);
  });
});

test('EXPLAIN, UPDATE, DELETE, COPY and each branch of a UNION count', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const statements: readonly (readonly [string, number])[] = [
    ["EXPLAIN SELECT id FROM customers WHERE email = 'a'", 1],
    ["EXPLAIN ANALYZE SELECT id FROM customers WHERE email = 'a'", 1],
    ["UPDATE customers SET note = 'x' WHERE email = 'user1@example.org'", 1],
    ["DELETE FROM customers WHERE email IN ('a', 'b')", 2],
    ["COPY (SELECT id FROM customers WHERE email = 'a') TO STDOUT", 1],
    [
      Array.from({ length: 50 }, (_, n) => `SELECT id FROM customers WHERE email = '${n}'`).join(
        ' UNION ALL ',
      ),
      50,
    ],
    [
      "SELECT 1; SELECT id FROM customers WHERE email = 'a'; SELECT id FROM customers WHERE email = 'b'",
      2,
    ],
  ];
  let sum = 0;
  for (const [text, count] of statements) {
    expect(errors(await client.ask([query(text)])), text).toEqual([]);
    sum += count;
    expect(used(), text).toBe(sum);
  }
});

test('what the text of several statements would use counts before the first of them runs', async () => {
  await using engine = await bench(limited(1));
  await using client = await RawClient.open(engine.port);
  const received = await client.ask([
    query(
      "INSERT INTO calls VALUES (1); SELECT id FROM customers WHERE email = 'a'; SELECT id FROM customers WHERE email = 'b'",
    ),
  ]);
  expect(errors(received)[0]).toMatchObject({ R: 'HOOP_LOOKUPS' });
  expect(await sql('SELECT count(*) FROM calls')).toEqual([['0']]);
  expect(used()).toBe(0);
});

test('EXECUTE counts each time, PREPARE and FETCH do not; a cursor counts when it is declared', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const ask = async (text: string, count: number) => {
    const received = await client.ask([query(text)]);
    expect(errors(received), text).toEqual([]);
    expect(used(), text).toBe(count);
    return rows(received);
  };
  await ask(`PREPARE find (text) AS ${FIND}`, 0);
  expect(await ask("EXECUTE find ('user3@example.org')", 1)).toEqual(found(3));
  expect(await ask("EXECUTE find ('user4@example.org')", 2)).toEqual(found(4));
  // Bound by the name that SQL has given it.
  const values = ['user5@example.org'];
  const bound = await client.ask([bind({ statement: 'find', values }), execute(), sync]);
  expect(rows(bound)).toEqual(found(5));
  expect(used()).toBe(3);
  await ask('BEGIN', 3);
  await ask(
    "DECLARE c SCROLL CURSOR FOR SELECT id FROM customers WHERE email = 'user6@example.org'",
    4,
  );
  expect(await ask('FETCH ALL FROM c', 4)).toEqual([['6']]);
  expect(await ask('FETCH BACKWARD ALL FROM c', 4)).toEqual([['6']]);
  expect(rows(await client.ask([execute('c'), sync]))).toEqual([['6']]);
  expect(used()).toBe(4);
  await ask('COMMIT', 4);
});

test('a portal that is read in parts counts once', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  const text = 'SELECT id FROM customers WHERE email IN ($1, $2, $3) ORDER BY id';
  const values = [1, 2, 3].map((n) => `user${n}@example.org`);
  const received = await client.ask([
    parse(text),
    bind({ values }),
    execute('', 1),
    execute('', 1),
    execute('', 1),
    sync,
  ]);
  expect(rows(received)).toEqual([['1'], ['2'], ['3']]);
  expect(used()).toBe(3);
});

test('in a pipeline each Execute is counted in its turn, and the one too many fails as the server fails', async () => {
  await using engine = await bench(limited(2));
  await using client = await RawClient.open(engine.port);
  const received = await client.ask(
    [parse(FIND), find(1), find(2), find(3), find(4), sync, query('SELECT 1')],
    2,
  );
  expect(letters(received)).toBe('1 2 D C 2 D C 2 E Z T D C Z');
  expect(used()).toBe(2);
});

test('inside a transaction the refusal fails it, as any error does', async () => {
  await using engine = await bench(limited(0));
  await using client = await RawClient.open(engine.port);
  await client.ask([query('BEGIN')]);
  const received = await client.ask([parse(FIND), describePortal(), ...find(1), sync]);
  expect(status(received)).toBe('E');
  expect(status(await client.ask([query('ROLLBACK')]))).toBe('I');
});

test('other comparisons are refused before anything is counted', async () => {
  await using engine = await bench();
  await using client = await RawClient.open(engine.port);
  for (const where of ["email LIKE 'a%'", "email = 'a' OR email = 'b'", "NOT email = 'a'"]) {
    const received = await client.ask([query(`SELECT id FROM customers WHERE ${where}`)]);
    expect(errors(received)[0]).toMatchObject({ R: 'HOOP_DENIED' });
  }
  expect(used()).toBe(0);
});

describe('while it is counted', () => {
  /** Says so when it is asked, and answers when it may. */
  function slow() {
    const asked = Promise.withResolvers<void>();
    const may = Promise.withResolvers<void>();
    const spend: Budget['spend'] = async (...how) => {
      asked.resolve();
      await may.promise;
      return budget.spend(...how);
    };
    return { asked: asked.promise, may: () => may.resolve(), budget: { spend } };
  }

  test.each(['query', 'execute'])('the policy takes it away (%s): it does not run', async (how) => {
    let grant: Grant = support;
    const { asked, may, budget: lookups } = slow();
    await using engine = await bench(() => grant, lookups);
    await using client = await RawClient.open(engine.port);
    const text = "DELETE FROM customers WHERE email = 'user300@example.org'";
    const messages = how === 'query' ? [query(text)] : [parse(text), bind(), execute(), sync];
    const answer = client.ask(messages);
    await asked;
    grant = { ...grantOf({ rules: ['allow select'] }), generation: 'next' };
    may();
    expect(errors(await answer)[0]).toMatchObject({ R: 'HOOP_NOT_ALLOWED' });
    expect(used()).toBe(1);
    expect(await sql('SELECT count(*) FROM customers WHERE id = 300')).toEqual([['1']]);
  });

  test('the policy changes and permits it still: it runs, and has counted once', async () => {
    let grant: Grant = support;
    const { asked, may, budget: lookups } = slow();
    await using engine = await bench(() => grant, lookups);
    await using client = await RawClient.open(engine.port);
    const answer = client.ask([parse(FIND), ...find(9), sync]);
    await asked;
    grant = { ...support, generation: 'next' };
    may();
    expect(rows(await answer)).toEqual(found(9));
    expect(used()).toBe(1);
  });

  test('the session ends: it does not run', async () => {
    const { asked, may, budget: lookups } = slow();
    await using engine = await bench(() => support, lookups);
    await using client = await RawClient.open(engine.port);
    client.send([query("DELETE FROM customers WHERE email = 'user299@example.org'")]);
    await asked;
    engine.session.abort();
    may();
    await client.closed();
    await engine.idle();
    expect(await sql('SELECT count(*) FROM customers WHERE id = 299')).toEqual([['1']]);
  });
});

test('where it cannot be written down it does not run', async () => {
  const broken: Budget = { spend: () => Promise.reject(new Error('disk full')) };
  await using engine = await bench(() => support, broken);
  await using client = await RawClient.open(engine.port);
  const received = await client.ask([parse(FIND), ...find(1), sync]);
  expect(errors(received)[0]).toMatchObject({
    R: 'HOOP_LOOKUPS',
    M: 'the lookups of the statement cannot be counted now',
  });
  expect(JSON.stringify(errors(received))).not.toContain('user1');
});
