/**
 * Random pipelines with writes above their limit, held against the server itself: there a write that
 * fails when it runs stands in the place of each. Answers and tables must be the same.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RowThreshold } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { type Bench, type ScriptedStatement, startBench } from './engine-bench.ts';
import {
  bind,
  execute,
  flush,
  letters,
  parse,
  query,
  RawClient,
  rows,
  run,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql, direct } = testTarget('CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)');
const ROUNDS = 40;
const STEPS = 14;

const rule = { id: 'test/rows', file: 'policies/test.yaml', line: 9 };
const limit: RowThreshold = {
  above: 2,
  rule,
  outcome: {
    effect: 'refuse',
    refusal: {
      code: 'HOOP_DENIED',
      sqlState: '42501',
      message: 'too many rows',
      detail: undefined,
      hint: undefined,
      position: undefined,
      rule,
    },
  },
};

const TRANSACTION = { begin: 'begin', commit: 'commit', rollback: 'rollback' } as const;

function script(text: string): readonly ScriptedStatement[] {
  let start = 0;
  return text.split(';').map((own): ScriptedStatement => {
    const range = [start, start + own.length] as const;
    start += own.length + 1;
    const verb = /\w+/.exec(own)?.[0].toLowerCase() ?? '';
    const transaction = Object.entries(TRANSACTION).find(([name]) => name === verb)?.[1];
    const rowCount = own.includes('/* all */')
      ? ({ from: 'statistics', relations: 'all' } as const)
      : ({ from: 'tag' } as const);
    return verb === 'update'
      ? { verb, range, rowThresholds: [limit], rowCount }
      : { verb, range, effect: transaction === undefined ? {} : { transaction } };
  });
}

/** xorshift32 */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.abs(state) % below;
  };
}

/** What is sent: through the gateway, and to the server itself. */
interface Step {
  readonly own: readonly Uint8Array[];
  readonly server: readonly Uint8Array[];
  /** ReadyForQuery that answer it. */
  readonly ready: number;
}

const FAILS = 'UPDATE t SET v = 1 / (v - v) WHERE id = 1';

function step(random: (below: number) => number): Step {
  const same = (ready: number, ...messages: readonly Uint8Array[]): Step => ({
    own: messages,
    server: messages,
    ready,
  });
  const note = random(2) === 0 ? '' : ' /* all */';
  const small = `UPDATE t SET v = v + 1 WHERE id = ${1 + random(5)}${note}`;
  const large = `UPDATE t SET v = v + 1000${note}`;
  const returning = parse(`${small} RETURNING id`);
  switch (random(13)) {
    case 0:
      return same(0, ...run(small));
    case 1:
      return { own: run(large), server: run(FAILS), ready: 0 };
    case 2:
      return same(1, query(small));
    case 3:
      return { own: [query(large)], server: [query(FAILS)], ready: 1 };
    case 4:
      return same(1, query(`SELECT 1; ${small}; ${small}`));
    case 5:
      return {
        own: [query(`${small}; ${large}; ${small}`)],
        server: [query(`${small}; ${FAILS}; ${small}`)],
        ready: 1,
      };
    case 6:
      return same(0, ...run('SELECT sum(v) FROM t'));
    case 7:
      return same(1, query(['BEGIN', 'COMMIT', 'ROLLBACK'][random(3)] ?? ''));
    case 8:
      return same(0, ...run(['BEGIN', 'COMMIT', 'ROLLBACK'][random(3)] ?? ''));
    case 9:
      return same(0, returning, bind(), execute('', 1), execute('', 1), execute('', 1));
    case 10:
      return same(0, flush);
    case 11:
      return same(0, ...run('SELECT nope'));
    default:
      return same(1, sync);
  }
}

/** A Query in the middle of a pipeline ends it in another way in each version of the server. */
function behindSync(one: Step): Step {
  if (one.ready === 0) return one;
  return { ...one, own: [sync, ...one.own], server: [sync, ...one.server] };
}

/** What the server skips after an error is not answered, so the end must be told by a row. */
const END = [sync, query('ROLLBACK'), query('SELECT 42')];

let bench: Bench;

beforeAll(async () => {
  bench = await startBench({ target: target(), script });
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  expect(bench.failures).toEqual([]);
});

async function play(client: RawClient, messages: readonly Uint8Array[]): Promise<string> {
  await sql('TRUNCATE t; INSERT INTO t SELECT n, 0 FROM generate_series(1, 5) n');
  client.received.splice(0);
  client.send(messages);
  await client.until((all) => rows(all).at(-1)?.[0] === '42');
  await client.until((all) => all.at(-1)?.type === 'Z');
  const table = await sql('SELECT v FROM t ORDER BY id');
  return [letters(client.received), status(client.received), table.flat().join(' ')].join(' | ');
}

test.each(Array.from({ length: ROUNDS }, (_, round) => round + 1))(
  'random pipeline %i',
  async (seed) => {
    const random = randomOf(seed);
    const steps = Array.from({ length: STEPS }, () => step(random)).map(behindSync);
    await using itself = await direct();
    await using through = await RawClient.open(bench.port);
    const expected = await play(itself, [...steps.flatMap(({ server }) => server), ...END]);
    const got = await play(through, [...steps.flatMap(({ own }) => own), ...END]);
    expect(got).toBe(expected);
  },
);

test.each(Array.from({ length: ROUNDS }, (_, round) => round + 1001))(
  'random pipeline %i, a Query anywhere in it, commits nothing above its limit',
  async (seed) => {
    const random = randomOf(seed);
    const steps = Array.from({ length: STEPS }, () => step(random));
    await using client = await RawClient.open(bench.port);
    await play(client, [...steps.flatMap(({ own }) => own), ...END]);
    expect(await sql('SELECT count(*) FROM t WHERE v >= 1000')).toEqual([['0']]);
  },
);
