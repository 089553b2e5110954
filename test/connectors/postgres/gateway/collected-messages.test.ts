/** How much of large messages all connections may collect together. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CollectedMessages } from '../../../../src/connectors/postgres/gateway/wire/collected-messages.ts';
import {
  COLLECTED_FREELY,
  Collector,
} from '../../../../src/connectors/postgres/gateway/wire/collector.ts';
import { HoopError } from '../../../../src/errors.ts';
import { ownerOf } from '../../../../src/owner-turns.ts';
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

  /** Four of the longest, of as many users. */
  function takeAll(): readonly Collector[] {
    return ['a', 'b', 'c', 'd'].map((name) => {
      const one = collector({}, name);
      expect(one.collects(LONGEST)).toBeUndefined();
      return one;
    });
  }

  test('is there for four of the longest; the next waits until one is done', async () => {
    const held = takeAll();
    const fifth = collector({});
    const granted = fifth.collects(LONGEST);
    expect(granted).toBeInstanceOf(Promise);
    held[1]?.done();
    await granted;
    // The rest of the same message waits for nothing.
    expect(fifth.collects(LONGEST)).toBeUndefined();
  });

  test('is not asked for by what is small, however much is held', () => {
    takeAll();
    expect(collector({}).collects(COLLECTED_FREELY)).toBeUndefined();
    expect(collector({}).collects(0)).toBeUndefined();
  });

  test('goes by turns of sessions, and a large one is not overtaken by small ones', async () => {
    const [one, other] = [{}, {}];
    const held = takeAll();
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

  test('is never more than half of it for one user, in however many sessions, and turns are by user', async () => {
    const [one, other] = [
      { issuer: 'i', sub: 'one' },
      { issuer: 'i', sub: 'other' },
    ];
    const order: string[] = [];
    const wait = (owner: object, name: string, bytes = LONGEST): Collector => {
      const waiting = collector(owner, name);
      const granted = waiting.collects(bytes);
      if (granted === undefined) order.push(name);
      else void granted.then(() => order.push(name));
      return waiting;
    };
    const [first] = ['one 1', 'one 2', 'one 3'].map((name) => wait(ownerOf(one), name));
    wait(ownerOf(one), 'small', COLLECTED_FREELY + 1);
    const theirs = ['other 1', 'other 2'].map((name) => wait(ownerOf(other), name));
    expect(order).toEqual(['one 1', 'one 2', 'other 1', 'other 2']);
    wait(ownerOf({ ...other, sub: 'third' }), 'third');
    // As much is left as one of them may have, and its turn comes first.
    for (const done of [theirs[0], first]) {
      done?.done();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(order.slice(4)).toEqual(['third', 'one 3']);
  });

  test('comes back when a stream ends, also of one that waits', async () => {
    const [first] = takeAll();
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

  test('is not taken while the gateway works on the row, but again when it goes out', async () => {
    const held = takeAll();
    for (const one of held) one.came();
    void collector({}).collects(LONGEST);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(gaveWay).toEqual([]);
    held[2]?.goesOut();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(gaveWay).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(gaveWay).toEqual(['c']);
  });

  test('is not taken from who is slow, and goes on', async () => {
    collected = new CollectedMessages(64 * LONGEST);
    const held = ['a', 'b', 'c', 'd'].map((name) => collector({}, name));
    for (const one of held) expect(one.collects(60 * LONGEST)).toBeUndefined();
    void collector({}).collects(64 * LONGEST);
    const seconds = async (count: number): Promise<void> => {
      for (let second = 0; second < count; second += 1) {
        for (const one of held) one.moved(LONGEST / 8);
        await vi.advanceTimersByTimeAsync(1000);
      }
    };
    await seconds(480);
    for (const one of held) one.goesOut();
    await seconds(480);
    expect(gaveWay).toEqual([]);
    for (const one of held.slice(1)) one.done();
    expect(collector({}).collects(64 * LONGEST)).toBeUndefined();
  });

  test('is not taken from a statement that is decided, approved or run, as long as its client reads', async () => {
    const held = takeAll();
    let unreadSince: number | undefined;
    for (const one of held) one.handled(() => undefined);
    held[1]?.handled(() => unreadSince);
    void collector({}).collects(LONGEST);
    await vi.advanceTimersByTimeAsync(1_200_000);
    expect(gaveWay).toEqual([]);
    unreadSince = performance.now();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gaveWay).toEqual(['b']);
    held[1]?.done();
    // But not for ever.
    void collector({}).collects(LONGEST);
    await vi.advanceTimersByTimeAsync(700_000);
    expect(gaveWay.slice(1)).toContain('a');
  });

  test('is not taken where that helps nobody, and of one user for their own messages', async () => {
    const user = { issuer: 'i', sub: 'one' };
    const small = collector({}, 'small');
    expect(small.collects(LONGEST / 4)).toBeUndefined();
    const busy = [1, 1, 1, 1 / 2].map((size) => {
      const one = collector({}, 'busy');
      expect(one.collects(size * LONGEST)).toBeUndefined();
      one.came();
      return one;
    });
    const large = collector({}, 'large');
    void large.collects(LONGEST);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(gaveWay).toEqual([]);
    for (const one of [small, ...busy, large]) one.done();
    // One that reads the third before it reads on with the first would wait for ever.
    for (const name of ['d', 'e']) {
      expect(collector(ownerOf(user), name).collects(LONGEST)).toBeUndefined();
    }
    void collector(ownerOf(user), 'f').collects(LONGEST);
    await vi.advanceTimersByTimeAsync(65_000);
    expect(gaveWay[0]).toBe('d');
  });
});

const { target } = testTarget();
const real = realEngine(target);
const LENGTH = 3 * COLLECTED_FREELY;
const searched = { ...grantOf({ rules: ['allow *'], detectors: ['card'] }) };

describe('a connection with a large message', () => {
  const row = `SELECT repeat('word', ${LENGTH / 4})`;
  const statement = `SELECT 1 /* ${'x'.repeat(LENGTH)} */`;

  /** Nothing of it is held. */
  function isAllThere(collected: CollectedMessages): boolean {
    const all = [1, 2, 3, 4].map(() => collected.collector({}, NEVER, () => undefined));
    const granted = all.map((one) => one.collects(LONGEST) === undefined);
    for (const one of all) one.done();
    return !granted.includes(false);
  }

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
      await expect.poll(() => isAllThere(collected)).toBe(true);
    },
  );

  test('that must give way is told so', async () => {
    const error = new HoopError('HOOP_LIMIT', 'others wait for its memory');
    const collected: Pick<CollectedMessages, 'collector'> = {
      collector: (_owner, ended, giveWay) => {
        const reserve = () => {
          setImmediate(() => giveWay(error));
          return { isGranted: true, release: () => undefined };
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

  test('that is being decided is not slow, however long that takes', async () => {
    const places: (() => boolean)[] = [];
    const collected: Pick<CollectedMessages, 'collector'> = {
      collector: (_owner, ended) =>
        new Collector((_bytes, isSlow, granted) => {
          places.push(isSlow);
          granted();
          return { isGranted: true, release: () => undefined };
        }, ended),
    };
    const { policy, catalog } = real.parts();
    const [asked, decided] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const decide: typeof policy.decide = async (...request) => {
      asked.resolve();
      await decided.promise;
      return policy.decide(...request);
    };
    const parts = { catalog, policy: { decide }, grant: () => searched, collected };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    const answer = client.ask([query(statement)]);
    await asked.promise;
    const later = performance.now() + 61_000;
    const clock = vi.spyOn(performance, 'now').mockReturnValue(later);
    const slow = places.map((isSlow) => isSlow());
    clock.mockRestore();
    decided.resolve();
    expect(slow).toEqual([false]);
    expect(letters(await answer)).toBe('T D C Z');
  });

  test.for([
    ['closes', (client: RawClient) => client[Symbol.asyncDispose]()],
    [
      'closes its half, while what it sent before goes on',
      (client: RawClient) => client.socket.end(),
    ],
  ] as const)(
    'that its client does not send to the end leaves nothing held: it %s',
    async ([, leave]) => {
      const collected = new CollectedMessages(LONGEST);
      const parts = { ...real.parts(), grant: () => searched, collected };
      await using bench = await startBench({ target: target(), ...parts });
      const asked = vi.spyOn(Collector.prototype, 'collects');
      await using client = await RawClient.open(bench.port);
      client.send([query('SELECT pg_sleep(3600)'), query(statement).subarray(0, LENGTH / 2)]);
      await expect.poll(() => asked.mock.calls.some(([bytes]) => bytes > LENGTH)).toBe(true);
      asked.mockRestore();
      await leave(client);
      await expect.poll(() => isAllThere(collected)).toBe(true);
    },
  );
});
