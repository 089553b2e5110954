import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { ReadTurns } from '../../../../src/connectors/postgres/gateway/relay.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A stream that has a hundred chunks to say at once, each of which takes so long. */
function flood(msPerChunk: number) {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const socket = new PassThrough({ objectMode: true, highWaterMark: 1000 });
  const turns = new ReadTurns(socket, 4);
  const seen = { chunks: [] as number[], inTurn: 0, most: 0 };
  socket.on('data', (chunk: number) => {
    turns.chunk();
    seen.chunks.push(chunk);
    seen.inTurn += 1;
    seen.most = Math.max(seen.most, seen.inTurn);
    setImmediate(() => {
      seen.inTurn = 0;
    });
    nowMs += msPerChunk;
  });
  for (let chunk = 0; chunk < 100; chunk++) socket.write(chunk);
  return { turns, seen };
}

const ALL = Array.from({ length: 100 }, (_, at) => at);

test('what takes long is read in many turns, in its order', async () => {
  const { seen } = flood(3);
  while (seen.chunks.length < 100) await nextTurn();
  expect(seen.chunks).toEqual(ALL);
  expect(seen.most).toBeLessThanOrEqual(3);
});

test('what takes no time is read at once', async () => {
  const { seen } = flood(0);
  await nextTurn();
  expect(seen.chunks).toEqual(ALL);
});

test('the end of a turn does not go over the head of a client that reads slowly', async () => {
  const { turns, seen } = flood(3);
  const goOn = turns.pause();
  const before = seen.chunks.length;
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect(seen.chunks.length).toBe(before);
  goOn();
  while (seen.chunks.length < 100) await nextTurn();
  expect(seen.chunks).toEqual(ALL);
});
