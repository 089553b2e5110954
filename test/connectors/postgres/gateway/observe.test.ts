/** `detect: observe`: what goes out is counted by class, and not one byte is another one. */
import { expect, test } from 'vitest';
import type { DetectorName } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import {
  bind,
  describeStatement,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  run,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE TABLE t (id int, memo text, doc jsonb, ssn text);
  INSERT INTO t SELECT i, 'card 4111 1111 1111 1111, a' || i || '@example.com',
    '{"mail": "b@example.com", "n": 1}', '078-05-1120' FROM generate_series(1, 3) i;
  CREATE FUNCTION opaque() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';
`);
const real = realEngine(target);
const OBSERVED: readonly DetectorName[] = ['card', 'email', 'ssn'];

const SENT: readonly (readonly [string, Uint8Array, object | undefined])[] = [
  ['rows', query('SELECT memo FROM t'), { card: 3, email: 3 }],
  ['nothing in them', query('SELECT id FROM t'), {}],
  ['no rows', query('SELECT memo FROM t WHERE id > 9'), {}],
  ['JSON', query('SELECT doc FROM t WHERE id = 1'), { email: 1 }],
  [
    'no description asked for',
    Buffer.concat([...run('SELECT memo FROM t'), sync]),
    { card: 3, email: 3 },
  ],
  [
    'a description of its own, in binary',
    Buffer.concat([
      ...[parse('SELECT memo FROM t', 's'), describeStatement('s')],
      ...[bind({ statement: 's', formats: [1] }), execute(), sync],
    ]),
    { card: 3, email: 3 },
  ],
  [
    'part of them',
    Buffer.concat([parse('SELECT memo FROM t'), bind(), execute('', 2), sync]),
    { card: 2, email: 2 },
  ],
  ['COPY', query('COPY t TO STDOUT'), undefined],
  [
    'a function that cannot be seen into',
    query('SELECT * FROM opaque()'),
    { card: 3, email: 6, ssn: 3 },
  ],
  ['no result', query('UPDATE t SET memo = memo'), undefined],
  ['an error', query('SELECT memo, 1 / (id - 3) FROM t'), { card: 2, email: 2 }],
];

test.each(SENT)('%s', async (_, message, seen) => {
  const plain = await answers(message, {});
  const observed = await answers(message, { observed: OBSERVED });
  expect(observed.received).toEqual(plain.received);
  expect(observed.results.at(-1)).toMatchObject({ detected: {}, maskedValues: 0 });
  expect(observed.results.at(-1)?.seen).toEqual(seen);
  expect(plain.results.at(-1)?.seen).toBeUndefined();
});

test('beside masks and detectors it counts what they leave', async () => {
  const grant = {
    ...grantOf({ rules: ['allow *'], masks: ['public.t.ssn full'], detectors: ['card'] }),
  };
  const { results } = await answers(query('SELECT memo, ssn FROM t'), {
    ...grant,
    observed: ['email', 'ssn'],
  });
  expect(results.at(-1)).toMatchObject({
    detected: { card: 3 },
    maskedValues: 3,
    seen: { email: 3 },
  });
});

async function answers(message: Uint8Array, changes: Partial<ReturnType<typeof grantOf>>) {
  const grant = {
    ...grantOf({ rules: ['allow *'] }),
    ...changes,
    generation: JSON.stringify(changes),
  };
  await using engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
  await using client = await RawClient.open(engine.port);
  const received: readonly Received[] = await client.ask([message]);
  const results = engine.events.flatMap((event) => (event.type === 'result' ? [event] : []));
  return { received, results };
}
