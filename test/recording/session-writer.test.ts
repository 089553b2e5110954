import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Direction } from '../../src/recording/formats/types.ts';
import { LeafAhead } from '../../src/recording/write/leaf-ahead.ts';
import {
  realSystem,
  SegmentWriter,
  SYNC_AFTER_BYTES,
} from '../../src/recording/write/segment-writer.ts';
import {
  SessionWriter,
  type SessionWriterOptions,
} from '../../src/recording/write/session-writer.ts';
import { newSessionId } from '../../src/session-id.ts';

/** Says in which order it was told what. */
class NotedLeaves extends LeafAhead {
  readonly told: string[] = [];

  override add(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    this.told.push(`bytes of ${stream}`);
    super.add(stream, direction, parts);
  }

  override close(stream: number): void {
    this.told.push(`end of ${stream}`);
    super.close(stream);
  }
}

async function openWriter(changes: Partial<SessionWriterOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-session-writer-'));
  const writer = new SessionWriter({
    directory,
    session: newSessionId(Date.now(), randomBytes(16)),
    dataKey: randomBytes(32),
    leaves: new LeafAhead(createSecretKey(randomBytes(32))),
    onFailure: (error) => expect.unreachable(error.message),
    stopped: new AbortController().signal,
    onForwardFailed: (error) => expect.unreachable(String(error)),
    onRecorded: () => undefined,
    ...changes,
  });
  return { writer, directory };
}

test('a stream that is closed in the turn of its last bytes ends behind them', async () => {
  const leaves = new NotedLeaves(createSecretKey(randomBytes(32)));
  const { writer, directory } = await openWriter({
    leaves,
  });
  // A stream that is alone waits for nothing.
  writer.openStream(8, 'postgres');
  writer.openStream(9, 'postgres');
  for (const stream of [1, 2]) {
    writer.openStream(stream, 'cancel');
    writer.data(stream, 0, [randomBytes(24)]);
    writer.closeStream(stream, 'closed');
  }
  await writer.sync();
  await writer.close();
  // Told of bytes after the end, it would keep something of every such stream for ever.
  expect(leaves.told).toEqual(['bytes of 1', 'bytes of 2', 'end of 1', 'end of 2']);
  await rm(directory, { recursive: true });
});

test('all that was recorded is told, also what is written when a sync begins', async () => {
  const begun = Promise.withResolvers<void>();
  const disk = Promise.withResolvers<void>();
  let isSlow = false;
  const told = new Map<number, number>();
  const { writer, directory } = await openWriter({
    onRecorded: (streams) => {
      for (const { stream, up } of streams) {
        told.set(stream, up);
      }
    },
    system: {
      ...realSystem,
      syncData: (fd) => {
        if (!isSlow) {
          return realSystem.syncData(fd);
        }
        isSlow = false;
        begun.resolve();
        return disk.promise;
      },
    },
  });
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  await writer.sync();
  isSlow = true;
  writer.data(1, 0, [randomBytes(10)]);
  await begun.promise;
  // The disk is slow: so much comes meanwhile that the next sync begins with the end of this one,
  // and what is not written yet then is written when it begins.
  let written = 0;
  for (; written <= SYNC_AFTER_BYTES; written += 1 << 20) {
    writer.data(1, 0, [Buffer.alloc(1 << 20)]);
  }
  writer.data(2, 0, [randomBytes(50)]);
  disk.resolve();
  await setImmediate();
  await writer.sync();
  expect(Object.fromEntries(told)).toEqual({ 1: 10 + written, 2: 50 });
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what only waits when a sync begins is not told as recorded by it', async () => {
  const told = Promise.withResolvers<number | undefined>();
  const { writer, directory } = await openWriter({
    onRecorded: (streams) => told.resolve(streams.find(({ stream }) => stream === 2)?.up),
    // Within the turn, so that nothing is written that waits for the end of it.
    system: { ...realSystem, syncData: async () => undefined },
  });
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  await writer.sync();
  for (let written = 0; written < SYNC_AFTER_BYTES; written += 1 << 20) {
    writer.data(1, 0, [Buffer.alloc(1 << 20)]);
  }
  writer.data(2, 0, [randomBytes(10)]);
  // What goes on when that is written brings more.
  writer.turns.whenWritten(() => writer.data(2, 0, [randomBytes(1000)]));
  expect(await told.promise).toBe(10);
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what could not be written is not told as recorded by a sync that was due before', async () => {
  const told: number[] = [];
  const { writer, directory } = await openWriter({
    onFailure: () => undefined,
    onRecorded: (streams) => told.push(...streams.map(({ up }) => up)),
  });
  writer.openStream(1, 'postgres');
  await writer.sync();
  for (let written = 0; written < SYNC_AFTER_BYTES; written += 1 << 20) {
    writer.data(1, 0, [Buffer.alloc(1 << 20)]);
  }
  const message = 'x'.repeat(2 << 20);
  expect(() => writer.event({ type: 'session.close', reason: 'closed', message })).toThrow(
    'the recording cannot be written',
  );
  expect(() => writer.data(1, 0, [randomBytes(100)])).toThrow('the recording cannot be written');
  await writer.close();
  expect(told).toEqual([]);
  await rm(directory, { recursive: true });
});

test('what goes on at the end and records more is written, too', async () => {
  const { writer, directory } = await openWriter();
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  writer.data(1, 0, [randomBytes(10)]);
  writer.turns.whenWritten(() => writer.data(1, 1, [randomBytes(20)]));
  await writer.close();
  expect([writer.upBytes, writer.downBytes]).toEqual([10, 20]);
  await rm(directory, { recursive: true });
});

test('what does not fit into a frame ends the recording: no gap, and nothing goes on behind it', async () => {
  const failures: string[] = [];
  const { writer, directory } = await openWriter({
    onFailure: ({ code }) => failures.push(code),
  });
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  writer.data(1, 0, [randomBytes(100)]);
  const forwarded: string[] = [];
  writer.turns.whenWritten(() => forwarded.push('waited'));
  const message = 'x'.repeat(2 << 20);
  expect(() => writer.event({ type: 'session.close', reason: 'closed', message })).toThrow(
    'the recording cannot be written',
  );
  // It would have an offset behind bytes that are not there.
  expect(() => writer.data(1, 0, [randomBytes(100)])).toThrow('the recording cannot be written');
  await writer.close();
  expect(forwarded).toEqual([]);
  expect(failures).toEqual(['HOOP_RECORDING_WRITE']);
  await rm(directory, { recursive: true });
});

test('what cannot be committed to ends the recording as well', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-segment-writer-'));
  const failed: string[] = [];
  const writer = new SegmentWriter({
    directory,
    session: newSessionId(Date.now(), randomBytes(16)),
    dataKey: randomBytes(32),
    onFailure: ({ code }) => failed.push(code),
    onSyncStart: () => undefined,
    onSynced: () => undefined,
  });
  const body = randomBytes(8);
  const append = (type: 'event' | 'recovered') => () =>
    void writer.append('event', [body], [{ type, body }]);
  expect(append('recovered')).toThrow('the recording cannot be written');
  expect(append('event')).toThrow('the recording cannot be written');
  expect(failed).toEqual(['HOOP_RECORDING_WRITE']);
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what cannot be put into a frame at the end of a turn ends the recording, and nothing goes on', async () => {
  const failures: string[] = [];
  const { writer, directory } = await openWriter({ onFailure: ({ code }) => failures.push(code) });
  writer.openStream(1, 'postgres');
  writer.openStream(2, 'postgres');
  await writer.sync();
  let goneOn = 0;
  const bytes = new Uint8Array(8);
  writer.data(1, 0, [bytes]);
  writer.turns.whenWritten(() => {
    goneOn += 1;
  });
  // Somebody gives the memory away before it is written: nobody calls what finds that.
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  await setImmediate();
  expect(failures).toEqual(['HOOP_RECORDING_WRITE']);
  expect(goneOn).toBe(0);
  expect(() => writer.event({ type: 'cancel', stream: 1, forStream: 1 })).toThrow(
    'the recording cannot be written',
  );
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what goes on waits for the end of the turn when streams can share it, and else not', async () => {
  const { writer, directory } = await openWriter();
  const forwarded: number[] = [];
  const say = (stream: number): void => {
    writer.data(stream, 0, [randomBytes(100)]);
    writer.turns.whenWritten(() => forwarded.push(stream));
  };
  writer.openStream(1, 'postgres');
  say(1);
  expect(forwarded).toEqual([1]);
  writer.openStream(2, 'postgres');
  say(2);
  say(1);
  expect(forwarded).toEqual([1]);
  await setImmediate();
  expect(forwarded).toEqual([1, 2, 1]);
  writer.closeStream(2, 'closed');
  say(1);
  expect(forwarded).toEqual([1, 2, 1, 1]);
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what waits goes on behind whoever records, and not in the middle of it', async () => {
  const { writer, directory } = await openWriter();
  const forwarded: string[] = [];
  const say = (stream: number, length: number, name: string): void => {
    const before = forwarded.length;
    writer.data(stream, 1, [randomBytes(length)]);
    // Who sends has its bytes in the record now, and not on their way: others' must wait.
    expect(forwarded).toHaveLength(before);
    writer.turns.whenWritten(() => forwarded.push(name));
    expect(forwarded.slice(before)).toEqual([]);
  };
  writer.openStream(1, 'ssh');
  writer.openStream(2, 'ssh');
  say(1, 10, 'small');
  // Has a frame of its own, and what waited is written before it.
  say(2, 100_000, 'large');
  for (let at = 0; at < 12; at += 1) {
    // Together more than may wait.
    say(1, 8000, `${at}`);
  }
  writer.closeStream(2, 'closed');
  // Alone now, but not the only one that waits.
  say(1, 10, 'alone');
  await setImmediate();
  const numbers = Array.from({ length: 12 }, (_, at) => `${at}`);
  expect(forwarded).toEqual(['small', 'large', ...numbers, 'alone']);
  await writer.close();
  await rm(directory, { recursive: true });
});

test('write has written what waits, and leaves it to go on later', async () => {
  const { writer, directory } = await openWriter();
  writer.openStream(1, 'ssh');
  writer.openStream(2, 'ssh');
  const forwarded: number[] = [];
  writer.data(1, 0, [randomBytes(10)]);
  writer.turns.whenWritten(() => forwarded.push(1));
  writer.turns.write();
  expect(writer.upBytes).toBe(10);
  expect(forwarded).toEqual([]);
  await setImmediate();
  expect(forwarded).toEqual([1]);
  await writer.close();
  await rm(directory, { recursive: true });
});

test('what throws when it goes on is told once, nothing goes on behind it, and the rest is still written', async () => {
  const failures: unknown[] = [];
  const { writer, directory } = await openWriter({
    stopped: new AbortController().signal,
    onForwardFailed: (error) => failures.push(error),
  });
  const forwarded: number[] = [];
  const fault = new TypeError('a fault of ours');
  const say = (stream: number, forward: () => void): void => {
    writer.data(stream, 0, [randomBytes(100)]);
    writer.turns.whenWritten(forward);
  };
  for (const stream of [1, 2, 3]) {
    writer.openStream(stream, 'postgres');
  }
  say(1, () => forwarded.push(1));
  say(2, () => {
    throw fault;
  });
  say(3, () => forwarded.push(3));
  await setImmediate();
  expect(forwarded).toEqual([1]);
  expect(failures).toEqual([fault]);
  say(1, () => forwarded.push(1));
  await writer.sync();
  await writer.close();
  expect(forwarded).toEqual([1]);
  expect(failures).toEqual([fault]);
  expect(writer.upBytes).toBe(400);
  await rm(directory, { recursive: true });
});

test('what throws where it need not wait is told, too, and not thrown at who recorded it', async () => {
  const failures: unknown[] = [];
  const { writer, directory } = await openWriter({
    stopped: new AbortController().signal,
    onForwardFailed: (error) => failures.push(error),
  });
  const fault = new TypeError('a fault of ours');
  writer.openStream(1, 'postgres');
  writer.data(1, 0, [randomBytes(100_000)]);
  writer.turns.whenWritten(() => {
    throw fault;
  });
  writer.turns.whenWritten(() => expect.unreachable('nothing goes on behind it'));
  expect(failures).toEqual([fault]);
  await writer.close();
  await rm(directory, { recursive: true });
});
