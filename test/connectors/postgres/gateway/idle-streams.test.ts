/** When a stream tells its session that it is busy, so that `limits.idleTime` does not end it. */
import { expect, test } from 'vitest';
import type { WatchWork } from '../../../../src/gateway/connector.ts';
import { waitFor } from '../../../wait-for.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  copyDone,
  execute,
  flush,
  parse,
  query,
  RawClient,
  run,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql, direct } = testTarget('CREATE TABLE t (id int)');

/** The key of a lock that a statement waits for, until the test gives it free. */
const LOCK = 7;
const WAITS = `SELECT pg_advisory_xact_lock(${LOCK})`;

interface Watched {
  readonly bench: Bench;
  readonly watched: Set<() => boolean>;
  readonly isBusy: () => boolean;
}

async function watchedBench(): Promise<Watched> {
  const watched = new Set<() => boolean>();
  const watchWork: WatchWork = (isBusy) => {
    watched.add(isBusy);
    return () => watched.delete(isBusy);
  };
  const bench = await startBench({
    target: target(),
    script: (text) =>
      text.startsWith('COPY')
        ? { effect: { copy: { direction: 'in', format: 'text' } } }
        : undefined,
    watchWork,
  });
  return { bench, watched, isBusy: () => [...watched].some((isBusy) => isBusy()) };
}

/** Holds the lock while `act` is under way. */
async function whileLocked(act: () => Promise<void>): Promise<void> {
  await using holder = await direct();
  await holder.ask([query(`SELECT pg_advisory_lock(${LOCK})`)]);
  await act();
}

async function untilWaiting(): Promise<void> {
  await waitFor(async () => {
    const waiting = await sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
    expect(waiting).toHaveLength(1);
  });
}

test.each([
  ['a Query', [query(WAITS)]],
  ['an Execute', [...run(WAITS), sync]],
  ['an Execute whose client has not sent its Sync', [parse(WAITS), bind(), execute(), flush]],
  ['a statement of an open transaction', [query('BEGIN'), query(WAITS)]],
])('%s that runs without a byte is work, and its end is the end of it', async (_, messages) => {
  const { bench, isBusy } = await watchedBench();
  await using _bench = bench;
  await using client = await RawClient.open(bench.port);
  expect(isBusy()).toBe(false);
  await whileLocked(async () => {
    client.send(...messages);
    await untilWaiting();
    expect(isBusy()).toBe(true);
  });
  await waitFor(() => expect(isBusy()).toBe(false));
});

test('neither an open transaction nor LISTEN is work', async () => {
  const { bench, isBusy } = await watchedBench();
  await using _bench = bench;
  await using client = await RawClient.open(bench.port);
  await client.ask([query('LISTEN news')]);
  expect(isBusy()).toBe(false);
  await client.ask([query('BEGIN')]);
  expect(isBusy()).toBe(false);
});

test('COPY FROM STDIN is work until its client ends it', async () => {
  const { bench, isBusy } = await watchedBench();
  await using _bench = bench;
  await using client = await RawClient.open(bench.port);
  client.send(query('COPY t FROM STDIN'));
  await waitFor(() => expect(isBusy()).toBe(true));
  client.send(copyDone);
  await waitFor(() => expect(isBusy()).toBe(false));
});

test('a stream that has ended is not asked any more', async () => {
  const { bench, watched } = await watchedBench();
  await using _bench = bench;
  const client = await RawClient.open(bench.port);
  expect(watched.size).toBe(1);
  await client[Symbol.asyncDispose]();
  await bench.idle();
  expect(watched.size).toBe(0);
});
