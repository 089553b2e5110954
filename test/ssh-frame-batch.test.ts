import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type DownFrame, MAX_DATA_BYTES } from '../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../src/connectors/ssh/protocol/frame-decoder.ts';
import { SshFrameBatch } from '../src/connectors/ssh/shared/ssh-frame-batch.ts';

/** What arrives behind a batch, write by write. */
function receiver(): { stream: Writable; writes: Buffer[]; frames(): DownFrame[] } {
  const writes: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk);
      done();
    },
    writev(chunks, done) {
      writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)));
      done();
    },
  });
  const frames = (): DownFrame[] => {
    const decoder = FrameDecoder.down();
    decoder.feed(Buffer.concat(writes));
    const all: DownFrame[] = [];
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      all.push(frame);
    }
    return all;
  };
  return { stream, writes, frames };
}

function batchFor(
  stream: Writable,
  onWritten: (hasRoom: boolean) => void = () => undefined,
): SshFrameBatch {
  return new SshFrameBatch(stream, {
    onWritten,
    onFault: (error) => expect.unreachable(String(error)),
  });
}

function data(channel: number, length: number, fill: number): DownFrame {
  return { type: 'data', channel, data: Buffer.alloc(length, fill) };
}

describe('frames on their way into a tunnel stream', () => {
  test('a byte leaves when the call is over that brought it, before the turn ends', async () => {
    const { stream, frames } = receiver();
    const batch = batchFor(stream);
    batch.add(data(3, 1, 7));
    expect(frames()).toEqual([]);
    await Promise.resolve();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(frames()).toEqual([{ type: 'data', channel: 3, data: Buffer.of(7) }]);
  });

  test('byte for byte, it is the same in few pieces', async () => {
    const { stream, frames } = receiver();
    let pieces = 0;
    const write = stream.write.bind(stream);
    stream.write = (chunk: Buffer) => {
      pieces += 1;
      return write(chunk);
    };
    const batch = batchFor(stream);
    // Beyond what a call takes as arguments, in what one frame holds.
    const sent = Buffer.alloc(200_000, 'byte for byte ');
    for (let at = 0; at < sent.length; at += 1) {
      batch.add({ type: 'data', channel: 0, data: sent.subarray(at, at + 1) });
    }
    batch.flush();
    const got = frames().map((frame) => (frame.type === 'data' ? frame.data : Buffer.of()));
    expect(Buffer.concat(got).equals(sent)).toBe(true);
    expect(pieces).toBeLessThan(5000);
  });

  test('packets of one turn are one write and one frame', async () => {
    const { stream, writes, frames } = receiver();
    const batch = batchFor(stream);
    batch.add(data(0, 32_768, 1));
    // What follows comes with another read of the same turn.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    batch.add(data(0, 32_768, 2));
    expect(writes).toHaveLength(0);
    await nextTurn();
    await nextTurn();
    expect(writes).toHaveLength(1);
    expect(frames()).toEqual([
      {
        type: 'data',
        channel: 0,
        data: Buffer.concat([Buffer.alloc(32_768, 1), Buffer.alloc(32_768, 2)]),
      },
    ]);
  });

  test('data, stderr, channels and what ends them keep their order', () => {
    const { stream, frames } = receiver();
    const batch = batchFor(stream);
    const all: DownFrame[] = [
      data(0, 2000, 1),
      { type: 'stderr', channel: 0, data: Buffer.from('x') },
      data(0, 10, 2),
      data(1, 10, 3),
      { type: 'window', channel: 0, bytes: 5 },
      data(1, 10, 4),
      { type: 'exitStatus', channel: 1, status: 3 },
      { type: 'eof', channel: 1 },
      { type: 'close', channel: 1 },
    ];
    for (const frame of all) {
      batch.add(frame);
    }
    batch.flush();
    expect(frames()).toEqual(all);
  });

  test('a frame has no more data than it may, and each byte is there once', () => {
    const { stream, frames } = receiver();
    const batch = batchFor(stream);
    const packets = Array.from({ length: 40 }, (_, at) => Buffer.alloc(32_000 + at, at));
    for (const packet of packets) {
      batch.add({ type: 'data', channel: 0, data: packet });
    }
    batch.add(data(0, MAX_DATA_BYTES, 99));
    batch.flush();
    const pieces = frames().map((frame) => (frame.type === 'data' ? frame.data : Buffer.of()));
    expect(Math.max(...pieces.map(({ length }) => length))).toBe(MAX_DATA_BYTES);
    expect(
      Buffer.concat(pieces).equals(Buffer.concat([...packets, Buffer.alloc(MAX_DATA_BYTES, 99)])),
    ).toBe(true);
    expect(() => batch.add(data(0, MAX_DATA_BYTES + 1, 0))).toThrow(RangeError);
    expect(() => batch.add(data(0, 0, 0))).toThrow(RangeError);
  });

  test('frames that come while a batch is taken go behind it, and each byte is there once', () => {
    const { stream, frames } = receiver();
    const nested = [data(2, 1000, 7), { type: 'window', channel: 2, bytes: 5 } as const];
    const batch = batchFor(stream, () => {
      for (const frame of nested.splice(0)) {
        batch.add(frame);
      }
    });
    for (const fill of [1, 2, 3]) {
      batch.add(data(0, 100_000, fill));
    }
    batch.flush();
    expect(frames()).toEqual([
      {
        type: 'data',
        channel: 0,
        data: Buffer.concat([1, 2].map((at) => Buffer.alloc(100_000, at))),
      },
      data(2, 1000, 7),
      { type: 'window', channel: 2, bytes: 5 },
      data(0, 100_000, 3),
    ]);
  });

  test('what no frame can hold changes nothing of what waits', () => {
    const { stream, frames } = receiver();
    const batch = batchFor(stream);
    batch.add(data(0, 5, 1));
    expect(() => batch.add({ type: 'openFailed', channel: 1, reason: 1, message: 'a\0b' })).toThrow(
      RangeError,
    );
    batch.add(data(0, 5, 1));
    batch.flush();
    expect(frames()).toEqual([data(0, 10, 1)]);
  });

  test('a stream that takes no more for now is told of, and one that is gone gets nothing', () => {
    const said: boolean[] = [];
    const full = new Writable({ highWaterMark: 10, write: () => undefined });
    const batch = batchFor(full, (hasRoom) => said.push(hasRoom));
    batch.add(data(0, 100, 1));
    batch.flush();
    expect(said).toEqual([false]);
    full.destroy();
    batch.add(data(0, 100, 1));
    batch.flush();
    expect(said).toEqual([false]);
  });

  test.each([
    ['a byte', 1],
    ['what waits for the end of the turn', 20_000],
  ])('a fault with %s, where nobody can catch it, is told', async (_what, length) => {
    const { stream, frames } = receiver();
    const faults: unknown[] = [];
    const fault = new Error('a fault of ours');
    const batch = new SshFrameBatch(stream, {
      onWritten: () => {
        throw fault;
      },
      onFault: (error) => faults.push(error),
    });
    batch.add(data(0, length, 1));
    await nextTurn();
    await nextTurn();
    expect(faults).toEqual([fault]);
    expect(frames()).toEqual([data(0, length, 1)]);
    // Whoever calls catches by himself.
    batch.add(data(0, 1, 1));
    expect(() => batch.flush()).toThrow(fault);
    expect(faults).toEqual([fault]);
  });

  test('behind a frame of which a part may be missing nothing follows', async () => {
    const { stream, writes } = receiver();
    const faults: unknown[] = [];
    const batch = new SshFrameBatch(stream, {
      onWritten: () => undefined,
      onFault: (error) => faults.push(error),
    });
    const write = stream.write.bind(stream);
    stream.write = () => {
      throw new Error('a fault of ours');
    };
    batch.add(data(0, 10, 1));
    await nextTurn();
    expect(faults).toHaveLength(1);
    stream.write = write;
    batch.add(data(0, 10, 1));
    batch.flush();
    expect(writes).toEqual([]);
  });
});
