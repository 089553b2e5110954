/** What the policy allows of statements in one message and in a second: real policy, real server. */
import { expect, test } from 'vitest';
import { StatementPace } from '../../../../src/connectors/postgres/gateway/statements/statement-pace.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, letters, query, RawClient, rows, run, status, sync } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE items (id int, name text);
  INSERT INTO items VALUES (1, 'one'), (2, 'two');
  CREATE TABLE loads (id int, name text);
`);
const real = realEngine(target);

const GRANT = grantOf({ rules: ['allow *'], masks: ['public.items.name full'] });

const bench = (limits: object, pace = new StatementPace()): Promise<Bench> => {
  const grant = { ...GRANT, limits: { ...GRANT.limits, ...limits } };
  return startBench({ target: target(), ...real.parts(), grant: () => grant, pace });
};
const numbered = (count: number): string =>
  Array.from({ length: count }, (_, at) => `select ${at}`).join(';');

test('2001 statements in one message are refused in words, none of them runs, and the session goes on', async () => {
  await using engine = await bench({ statementsPerMessage: 2000 });
  await using client = await RawClient.open(engine.port);
  const insert = `insert into loads values (3, 'three');`;
  const refused = await client.ask([query(insert.repeat(2001))]);
  expect(letters(refused)).toBe('E Z');
  expect(errors(refused)[0]).toMatchObject({
    C: '54000',
    M: expect.stringContaining('the text has 2001 statements; one message may have 2000'),
    H: expect.stringContaining('several messages'),
  });
  const after = await client.ask([query('select count(*) from loads')]);
  expect(rows(after)).toEqual([['0']]);
  expect(status(after)).toBe('I');
});

test('with a higher limit of the policy all of them run, in order, and masks hold in each', async () => {
  await using engine = await bench({ statementsPerMessage: 3000 });
  await using client = await RawClient.open(engine.port);
  const text = `${numbered(2000)}; select name from items where id = 1`;
  const received = await client.ask([query(text)]);
  expect(errors(received)).toEqual([]);
  const values = rows(received).map(([value]) => value);
  expect(values.slice(0, 2000)).toEqual(Array.from({ length: 2000 }, (_, at) => String(at)));
  expect(values).toHaveLength(2001);
  expect(values[2000]).not.toBe('one');
});

test('1,000 statements, a list of 10,000 values and an insert of 5,000 rows run as ever', async () => {
  await using engine = await bench({ statementsPerMessage: 2000, statementsPerSecond: 10_000 });
  await using client = await RawClient.open(engine.port);
  expect(rows(await client.ask([query(numbered(1000))]))).toHaveLength(1000);
  const list = Array.from({ length: 10_000 }, (_, at) => at + 2).join(', ');
  const found = await client.ask([query(`select id from items where id in (${list})`)]);
  expect(rows(found)).toEqual([['2']]);
  const many = Array.from({ length: 5000 }, (_, at) => `(${at + 10}, 'row ${at}')`).join(', ');
  expect(errors(await client.ask([query(`insert into loads values ${many}`)]))).toEqual([]);
  expect(await sql('select count(*) from loads')).toEqual([['5000']]);
});

test('whoever sends faster than the policy says waits: each is answered, once and in order', async () => {
  // A clock that goes on only where somebody waits, so that a slow machine waits as often.
  let waitedMs = 0;
  const pace = new StatementPace();
  const spend = pace.spend.bind(pace);
  pace.spend = (statements, perSecond) => {
    const wait = spend(statements, perSecond, waitedMs);
    waitedMs += wait;
    return wait;
  };
  await using engine = await bench({ statementsPerSecond: 50 }, pace);
  await using client = await RawClient.open(engine.port);
  const asked = Array.from({ length: 60 }, (_, at) => [...run(`select ${at}`), sync]);
  const simple = Array.from({ length: 60 }, (_, at) => query(`select ${at + 60}`));
  const from = performance.now();
  const received = await client.ask([...asked, ...simple], 120);
  const tookMs = performance.now() - from;
  expect(errors(received)).toEqual([]);
  expect(rows(received)).toEqual(Array.from({ length: 120 }, (_, at) => [String(at)]));
  expect(waitedMs).toBeGreaterThan(300);
  // It can only be more. Timers may fire a millisecond early.
  expect(tookMs).toBeGreaterThan(waitedMs * 0.8);
});
