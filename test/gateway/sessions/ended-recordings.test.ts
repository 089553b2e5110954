import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IndexStore } from '../../../src/gateway/index/index-store.ts';
import { SessionIndex } from '../../../src/gateway/index/session-index.ts';
import {
  EndedRecordings,
  type EndedRecordingsOptions,
} from '../../../src/gateway/sessions/ended-recordings.ts';
import type { LeafJob } from '../../../src/recording/formats/hash-leaves.ts';
import { LeafHasher } from '../../../src/recording/write/leaf-hasher.ts';
import { RecordingBench, SessionPair } from '../../recording/session-pair.ts';
import { collectLog } from '../collect-log.ts';
import { NO_EVENTS } from '../no-events.ts';

/** More than are kept open. */
const OTHERS = 40;

function endedRecordings(
  bench: RecordingBench,
  store: IndexStore,
  requireLease: () => Promise<void>,
  changes: Partial<EndedRecordingsOptions> = {},
): EndedRecordings {
  return new EndedRecordings({
    store: bench.store,
    requireLease,
    gatewayKey: () => bench.keys.gatewayKey,
    index: new SessionIndex(
      store.store,
      { id: 'node', term: 1 },
      Date.now,
      () => undefined,
      () => false,
      NO_EVENTS,
    ),
    uploadWithinSeconds: 60,
    log: collectLog().log,
    clock: Date.now,
    ...changes,
  });
}

test('who waits long for a recording to be read is told so, and the next one waits for the same reading', async () => {
  await using bench = await RecordingBench.create();
  using store = IndexStore.open(join(bench.directory, 'index.sqlite'));
  const pair = await SessionPair.open(bench);
  pair.gateway.openStream(1, 'postgres');
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close();
  const read = Promise.withResolvers<void>();
  let readings = 0;
  class SlowHasher extends LeafHasher {
    override async hash(job: LeafJob) {
      readings += 1;
      await read.promise;
      return await super.hash(job);
    }
  }
  await using hasher = new SlowHasher();
  const slow = { store: { ...bench.store, hasher }, answerWithinMs: 1 };
  const ended = endedRecordings(bench, store, async () => undefined, slow);
  await expect(ended.opened(pair.session)).rejects.toMatchObject({
    code: 'HOOP_RECORDING_READING',
    hint: 'Run it again in a moment.',
  });
  read.resolve();
  const position = await ended.use(pair.session, (recording) => recording.position());
  expect({ state: position.state, readings }).toEqual({ state: 'sealed', readings: 1 });
});

test('a recording that is being worked with is not opened a second time, however many others are', async () => {
  await using bench = await RecordingBench.create();
  using store = IndexStore.open(join(bench.directory, 'index.sqlite'));
  const ended = endedRecordings(bench, store, async () => undefined);
  const sessions: string[] = [];
  for (let count = 0; count <= OTHERS; count += 1) {
    const pair = await SessionPair.open(bench);
    await pair.gateway.close({ reason: 'closed' });
    await pair.client.close();
    sessions.push(pair.session);
  }
  const [one = '', ...others] = sessions;
  // Each would append to the same files, as if it were alone.
  await ended.use(one, async (mine) => {
    for (const other of others) {
      await ended.use(other, (recording) => recording.position());
    }
    await ended.use(one, (again) => expect(again).toBe(mine));
  });
});

test('nothing is signed when the term has ended while the recording was opened', async () => {
  await using bench = await RecordingBench.create();
  using store = IndexStore.open(join(bench.directory, 'index.sqlite'));
  let asked = 0;
  const ended = endedRecordings(bench, store, async () => {
    asked += 1;
    if (asked === 2) throw new Error('the term is over');
  });
  const pair = await SessionPair.open(bench);
  // Its process is gone, and has closed nothing.
  await pair.gateway.writer.sync();
  await pair.client.close();
  const seal = () => ended.use(pair.session, (recording) => recording.seal());
  await expect(seal()).rejects.toThrow('the term is over');
  const position = await ended.use(pair.session, (recording) => recording.position());
  expect(position.state).toBe('ended');
  await seal();
});
