/** What programs read that pass on the message of an error and nothing else. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import { bind, errors, execute, parse, query, RawClient, rows, sync } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget('CREATE TABLE t (id int, secret text)');
const grant = grantOf({
  rules: ['allow select on public.t', 'deny drop'],
  masks: ['public.t.secret full'],
  inference: 'deny',
});
const real = realEngine(target);

let engine: Bench;
beforeAll(async () => {
  engine = await startBench({
    ...{ target: target(), ...real.parts(), grant: () => grant },
    wholeMessages: 'unless shown',
  });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

async function messageOf(sql: string, program: string): Promise<Record<string, string>> {
  await using client = await RawClient.open(engine.port, { application_name: program });
  return errors(await client.ask([query(sql)]))[0] ?? {};
}

test.each([
  ['DELETE FROM t', 'Allowed here: select on public.t.'],
  ['DROP TABLE t', 'rule p/rule-2 | '],
  ['SELECT id FROM t ORDER BY secret', 'rule p/mask public.t.secret | '],
  ["SET app.tenant = 'x'", 'allow: { verbs: ["set app.tenant"] }'],
])('a driver reads the rule and the way on in the message itself: %s', async (sql, said) => {
  const { M = '', D, H = '' } = await messageOf(sql, 'some-driver');
  expect(M).toContain(said);
  expect(M).not.toContain('\n');
  expect(M).toContain(H);
  expect(D).toBeDefined();
});

test('psql shows all fields, so its message has no more than what happened', async () => {
  const { M, H } = await messageOf('DELETE FROM t', 'psql');
  expect(M).toBe('DELETE on public.t is not allowed by policy');
  expect(H).toBe('Allowed here: select on public.t.');
});

test('what the server says of a mistake stays in its words', async () => {
  const { M } = await messageOf('SELECT id FROM nowhere', 'some-driver');
  expect(M).toBe('relation "nowhere" does not exist');
});

test('a parameter of type void is no argument, as JDBC sends { ? = call lower(?) }', async () => {
  await using client = await RawClient.open(engine.port);
  const call = [
    parse('SELECT * FROM lower($1, $2) AS result', '', [2278, 25]),
    bind({ values: [null, 'ABC'] }),
    execute(),
    sync,
  ];
  const answer = await client.ask([call]);
  expect([errors(answer), rows(answer)]).toEqual([[], [['abc']]]);
  const other = [
    parse('SELECT set_config($1, $2, $3, false)', '', [2278, 25, 25]),
    bind({ values: [null, 'role', 'x'] }),
    execute(),
    sync,
  ];
  expect(errors(await client.ask([other]))[0]).toMatchObject({ R: 'HOOP_SETTING' });
});
