import { beforeEach, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import { type Store, sql } from '../../../src/gateway/store/store.ts';
import { StoreWatch } from '../../../src/gateway/store/store-watch.ts';
import { collectLog } from '../collect-log.ts';

const READ = sql('SELECT 1');
let now = 0;
let writes: () => Promise<void>;
let reads: () => Promise<void>;
let log: ReturnType<typeof collectLog>;
let watch: StoreWatch;
let asked = 0;

const away = (): Promise<never> =>
  Promise.reject(new HoopError('HOOP_STORE_UNAVAILABLE', 'the store does not answer'));

beforeEach(() => {
  now = 0;
  asked = 0;
  writes = reads = () => Promise.resolve();
  log = collectLog();
  const store: Store = {
    isShared: true,
    transaction: () => writes() as Promise<never>,
    change: () => writes().then(() => 1),
    checkWritable: () => {
      asked += 1;
      return writes();
    },
    all: () => reads().then(() => []),
    get: () => reads().then(() => undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  watch = new StoreWatch(store, log.log, () => now);
});

test('says how long there was no answer, once, and when there is one again', async () => {
  writes = reads = away;
  await expect(watch.get(READ)).rejects.toThrow();
  now = 1000;
  await expect(watch.change(READ)).rejects.toThrow();
  expect(watch.awayMs).toBe(1000);
  expect(() => watch.requirePresent()).toThrow('does not answer');
  // A standby can be read.
  reads = () => Promise.resolve();
  await watch.get(READ);
  expect(watch.awayMs).toBe(1000);
  writes = () => Promise.resolve();
  // Nobody waits for it any more but the look.
  now = 2000;
  await expect(watch.change(READ)).rejects.toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
  await expect(watch.get(READ)).rejects.toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
  expect(watch.awayMs).toBe(2000);
  await watch.look();
  expect(watch.awayMs).toBe(0);
  watch.requirePresent();
  expect(log.events.map(({ event }) => event)).toEqual(['store.away', 'store.back']);
});

test('asks when it was not asked for a while, one question at a time', async () => {
  await watch.look();
  expect(asked).toBe(0);
  now = 5000;
  const answer = Promise.withResolvers<void>();
  writes = () => answer.promise;
  const looks = [watch.look(), watch.look()];
  expect(asked).toBe(1);
  answer.reject(new HoopError('HOOP_STORE_UNAVAILABLE', 'the store does not answer'));
  await Promise.all(looks);
  // It was asked then, and has not answered since.
  now = 6000;
  expect(watch.awayMs).toBe(1000);
});

test('an answer to an earlier question does not bring it back, nor does a refusal send it away', async () => {
  const slow = Promise.withResolvers<void>();
  writes = () => slow.promise;
  const before = watch.change(READ);
  now = 10;
  writes = away;
  await expect(watch.change(READ)).rejects.toThrow();
  now = 20;
  slow.resolve();
  await before;
  expect(watch.awayMs).toBe(10);
  writes = () => Promise.resolve();
  await watch.change(READ);
  writes = () => Promise.reject(new TypeError('a bug'));
  await expect(watch.change(READ)).rejects.toThrow('a bug');
  writes = () => Promise.reject(new HoopError('HOOP_DISK_FULL', 'no room'));
  await expect(watch.change(READ)).rejects.toThrow('no room');
  expect(watch.awayMs).toBe(0);
});

test('can be read while it only cannot be written', async () => {
  writes = away;
  await expect(watch.change(READ)).rejects.toThrow();
  now = 60_000;
  await watch.get(READ);
  await watch.all(READ);
  expect(watch.awayMs).toBe(60_000);
  await expect(watch.change(READ)).rejects.toThrow();
});

test('a read that failed before another was answered does not keep a standby from being read', async () => {
  const failing = Promise.withResolvers<void>();
  reads = () => failing.promise;
  const slow = watch.get(READ).catch((error: unknown) => error);
  now = 100;
  await watch.change(READ);
  failing.reject(new HoopError('HOOP_STORE_UNAVAILABLE', 'the store does not answer'));
  await slow;
  expect(watch.awayMs).toBe(0);
  // Later it becomes a standby: written no more, read as before.
  writes = away;
  reads = () => Promise.resolve();
  await expect(watch.change(READ)).rejects.toThrow();
  now = 10_000;
  await watch.get(READ);
});
