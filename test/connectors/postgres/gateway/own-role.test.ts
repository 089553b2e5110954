/** SET ROLE to the role that is in force anyway, against a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('CREATE ROLE reader; CREATE TABLE t (id int)');
const grant = grantOf({ rules: ['allow select on public.*'], masks: ['public.t.id null'] });
const named = grantOf({ rules: ['allow select on public.*', 'allow set role'] });
const real = realEngine(target);

let engine: Bench;
let rules = grant;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => rules });
});
beforeEach(() => {
  rules = grant;
});
afterAll(() => engine[Symbol.asyncDispose]());

const denied = ['setting "role" is not allowed by policy'];
async function said(client: RawClient, text: string): Promise<readonly (string | undefined)[]> {
  return errors(await client.ask([query(text)])).map(({ M }) => M);
}

test('NONE and the own name change nothing, and need no rule', async () => {
  await using client = await RawClient.open(engine.port);
  for (const text of [
    'SET ROLE NONE',
    "SET ROLE 'none'",
    'SET LOCAL ROLE NONE',
    `SET ROLE ${target().user}`,
    'SET ROLE NONE; SELECT 1',
    'RESET ROLE',
  ]) {
    expect(await said(client, text), text).toEqual([]);
  }
  expect(await said(client, 'SET ROLE reader')).toEqual(denied);
});

describe('where the database begins sessions with another role', () => {
  beforeAll(() => sql(`ALTER DATABASE postgres SET role = 'reader'`));

  test('NONE is the role that logs in, and needs a rule', async () => {
    await using client = await RawClient.open(engine.port);
    expect(rows(await client.ask([query('SELECT current_user')]))).toEqual([['reader']]);
    expect(await said(client, 'SET ROLE NONE')).toEqual(denied);
    expect(await said(client, 'SET ROLE reader')).toEqual([]);
    expect(await said(client, 'SET ROLE reader; SET ROLE NONE')).toEqual(denied);
    expect(await said(client, `SET ROLE ${target().user}`)).toEqual(denied);
    expect(rows(await client.ask([query('SELECT current_user')]))).toEqual([['reader']]);
  });

  test('a verdict of a connection that has the role of the login is not that of one that has not', async () => {
    rules = named;
    await using other = await RawClient.open(engine.port);
    expect(await said(other, 'SET ROLE NONE')).toEqual([]);
    rules = grant;
    expect(await said(other, 'SET ROLE NONE')).toEqual([]);
    await using client = await RawClient.open(engine.port);
    expect(await said(client, 'SET ROLE NONE')).toEqual(denied);
  });
});
