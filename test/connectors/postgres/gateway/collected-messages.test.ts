/** How much of large messages all connections may collect together. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  COLLECTED_FREELY,
  CollectedMessages,
  Collector,
} from '../../../../src/connectors/postgres/gateway/collected-messages.ts';
import { HoopError } from '../../../../src/errors.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { errors, letters, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const LONGEST = 1024 * 1024;
const NEVER = new AbortController().signal;

describe('memory for large messages', () => {
  let collected: CollectedMessages;
  let gaveWay: string[];
  beforeEach(() => {
    vi.useFakeTimers();
    collected = new CollectedMessages(LONGEST);
    gaveWay = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function collector(owner: object, name = '', ended = NEVER): Collector {
    return collected.collector(owner, ended, () => gaveWay.push(name));
  }

  /** Four of the longest. */
  function takeAll(owner: object): readonly Collector[] {
    return ['a', 'b', 'c', 'd'].map((name) => {
      const one = collector(owner, name);
      expect(one.collects(LONGEST)).toBeUndefined();
      return one;
    });
  }

  test('is there for four of the longest; the next waits until one is done', async () => {
    const held = takeAll({});
    const fifth = collector({});
    const granted = fifth.collects(LONGEST);
    expect(granted).toBeInstanceOf(Promise);
    held[1]?.done();
    await granted;
    // The rest of the same message waits for nothing.
    expect(fifth.collects(LONGEST)).toBeUndefined();
  });

  test('is not asked for by what is small, however much is held', () => {
    takeAll({});
    expect(collector({}).collects(COLLECTED_FREELY)).toBeUndefined();
    expect(collector({}).collects(0)).toBeUndefined();
  });

  test('goes by turns of sessions, and a large one is not overtaken by small ones', async () => {
    const [one, other] = [{}, {}];
    const held = takeAll(one);
    const order: string[] = [];
    const wait = (owner: object, name: string, bytes = LONGEST): void => {
      void collector(owner)
        .collects(bytes)
        ?.then(() => order.push(name));
    };
    for (const name of ['one 5', 'one 6', 'one 7']) wait(one, name);
    wait(other, 'other 1');
    wait({}, 'small', COLLECTED_FREELY + 1);
    for (const one of held) {
      one.done();
      await vi.advanceTimersByTimeAsync(0);
    }
    // The first has its turn already; what is left behind the small one is too little.
    expect(order).toEqual(['one 5', 'other 1', 'small', 'one 6']);
  });

  test('comes back when a stream ends, also of one that waits', async () => {
    const [first] = takeAll({});
    const left = new AbortController();
    const waiting = collector({}, '', left.signal).collects(LONGEST);
    const behind = collector({}).collects(LONGEST);
    left.abort();
    await waiting;
    first?.done();
    await behind;
    expect(collector({}, '', left.signal).collects(LONGEST)).toBeUndefined();
  });

  test('is taken from who has held most for a minute, when somebody waits', async () => {
    const small = collector({}, 'small');
    expect(small.collects(LONGEST / 2)).toBeUndefined();
    const held = ['a', 'b', 'c'].map((name) => collector({}, name));
    for (const one of held) expect(one.collects(LONGEST)).toBeUndefined();
    await vi.advanceTimersByTimeAsync(300_000);
    // Nobody waits.
    expect(gaveWay).toEqual([]);
    const late = collector({}, 'late');
    expect(late.collects(LONGEST / 2)).toBeUndefined();
    void collector({}).collects(LONGEST);
    held[0]?.done();
    void collector({}).collects(LONGEST);
    await vi.advanceTimersByTimeAsync(5000);
    expect(gaveWay).toEqual(['b']);
  });

  test('is not taken while the gateway works on the message, but again when it goes out', async () => {
    const held = takeAll({});
    for (const one of held) one.came();
    void collector({}).collects(LONGEST);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(gaveWay).toEqual([]);
    held[2]?.goesOut();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(gaveWay).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(gaveWay).toEqual(['c']);
  });
});

const { target } = testTarget();
const real = realEngine(target);
const LENGTH = 3 * COLLECTED_FREELY;
const searched = { ...grantOf({ rules: ['allow *'], detectors: ['card'] }) };

describe('a connection with a large message', () => {
  const row = `SELECT repeat('word', ${LENGTH / 4})`;
  const statement = `SELECT 1 /* ${'x'.repeat(LENGTH)} */`;

  /** All of it is held by somebody else. */
  function full() {
    const collected = new CollectedMessages(LONGEST);
    const others = [1, 2, 3, 4].map(() => collected.collector({}, NEVER, () => undefined));
    for (const one of others) expect(one.collects(LONGEST)).toBeUndefined();
    return { collected, others };
  }

  test.for([
    ['a row', row],
    ['a statement', statement],
  ])(
    'waits for memory before more of %s is read, and nobody else waits for it',
    async ([, text = '']) => {
      const { collected, others } = full();
      const parts = { ...real.parts(), grant: () => searched, collected };
      await using bench = await startBench({ target: target(), ...parts });
      await using client = await RawClient.open(bench.port);
      await using other = await RawClient.open(bench.port);
      const asked = vi.spyOn(Collector.prototype, 'collects');
      let isAnswered = false;
      const answer = client.ask([query(text)]).finally(() => {
        isAnswered = true;
      });
      await expect
        .poll(() => asked.mock.results.some(({ value }) => value !== undefined))
        .toBe(true);
      asked.mockRestore();
      expect(rows(await other.ask([query('SELECT 2')]))).toEqual([['2']]);
      expect(isAnswered).toBe(false);
      for (const one of others) one.done();
      expect(letters(await answer)).toBe('T D C Z');
      // What it held is given back: as much as there was is there again.
      const again = [1, 2, 3, 4].map(() => collected.collector({}, NEVER, () => undefined));
      await expect
        .poll(() => again.map((one) => one.collects(LONGEST)))
        .toEqual(Array(4).fill(undefined));
    },
  );

  test('that must give way is told so', async () => {
    const error = new HoopError('HOOP_LIMIT', 'others wait for its memory');
    const collected: Pick<CollectedMessages, 'collector'> = {
      collector: (_owner, ended, giveWay) => {
        const reserve = () => {
          setImmediate(() => giveWay(error));
          return { isGranted: true, release: () => undefined, waits: () => undefined };
        };
        return new Collector(reserve, ended);
      },
    };
    const parts = { ...real.parts(), grant: () => searched, collected };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    client.received.length = 0;
    // The rest of it never comes.
    client.send([query(statement).subarray(0, LENGTH / 2)]);
    await client.until(() => client.isClosed);
    expect(errors(client.received)).toMatchObject([
      { S: 'FATAL', C: '54000', M: 'others wait for its memory' },
    ]);
  });

  test('that its client does not send to the end leaves nothing held', async () => {
    const collected = new CollectedMessages(LONGEST);
    const parts = { ...real.parts(), grant: () => searched, collected };
    await using bench = await startBench({ target: target(), ...parts });
    const asked = vi.spyOn(Collector.prototype, 'collects');
    const client = await RawClient.open(bench.port);
    client.send([query(statement).subarray(0, LENGTH / 2)]);
    await expect.poll(() => asked.mock.calls.some(([bytes]) => bytes > LENGTH)).toBe(true);
    asked.mockRestore();
    await client[Symbol.asyncDispose]();
    await bench.idle();
    const others = [1, 2, 3, 4].map(() => collected.collector({}, NEVER, () => undefined));
    expect(others.map((one) => one.collects(LONGEST))).toEqual(Array(4).fill(undefined));
  });
});
