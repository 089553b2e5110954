import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ByteBudget } from '../../src/byte-budget.ts';
import { MAX_WINDOW_BYTES, WINDOW_BYTES } from '../../src/carrier/multiplexed-stream.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { MORE_WINDOW_BYTES } from '../../src/carrier/stream-connection.ts';
import { FRAME_HEADER_BYTES, writeDataHeader } from '../../src/protocol/carrier/frames.ts';
import { type ConnectionPair, connectionPair } from '../gateway/carrier-pair.ts';

const MIB = 1024 * 1024;

beforeEach(() => {
  // The clock stands: everything is read in no time, on however busy a machine.
  vi.useFakeTimers({ toFake: ['performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Until each end has read all that the other has written. */
async function settled({ socket, accepted }: ConnectionPair): Promise<void> {
  for (let still = 0; still < 3; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const isQuiet =
      socket.bytesRead === accepted.bytesWritten && accepted.bytesRead === socket.bytesWritten;
    still = isQuiet ? still + 1 : 0;
  }
}

/** Sends so much to who reads at once. */
async function readQuickly(pair: ConnectionPair, from: StreamCarrier, bytes: number) {
  for (let sent = 0; sent < bytes; sent += MIB) {
    from.send([Buffer.alloc(MIB)]);
    await settled(pair);
  }
}

/** What the server's end takes while nobody reads there. */
async function takenUnread(pair: ConnectionPair, stream: OpenPair): Promise<number> {
  stream.server.pause();
  const before = pair.accepted.bytesRead;
  stream.client.send([Buffer.alloc(4 * MAX_WINDOW_BYTES)]);
  await settled(pair);
  return pair.accepted.bytesRead - before;
}

type OpenPair = Awaited<ReturnType<ConnectionPair['open']>>;

describe('the window of a stream', () => {
  test('grows for who reads much and keeps pace, and no further than its bound', async () => {
    await using pair = await connectionPair();
    const stream = await pair.open(1);
    await readQuickly(pair, stream.client, 64 * MIB);
    const taken = await takenUnread(pair, stream);
    expect(taken).toBeGreaterThan(MAX_WINDOW_BYTES / 2);
    expect(taken).toBeLessThanOrEqual(MAX_WINDOW_BYTES + 64 * 1024);
  });

  test('stays as it was for who reads slowly', async () => {
    await using pair = await connectionPair();
    const stream = await pair.open(1);
    for (let count = 0; count < 64; count += 1) {
      vi.advanceTimersByTime(600);
      await readQuickly(pair, stream.client, MIB);
    }
    expect(await takenUnread(pair, stream)).toBeLessThanOrEqual(WINDOW_BYTES + 64 * 1024);
  });

  test('stays as it was for who has most of it waiting', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    server.pause();
    let taken = 0;
    let most = 0;
    server.on('data', (bytes) => {
      taken += bytes.length;
      server.pause();
    });
    client.send([Buffer.alloc(24 * MIB)]);
    while (taken < 16 * MIB) {
      await settled(pair);
      most = Math.max(most, pair.accepted.bytesRead - taken);
      server.resume();
    }
    expect(most).toBeLessThan(WINDOW_BYTES + 64 * 1024);
  });

  test('is taken back from who has become slow', async () => {
    await using pair = await connectionPair();
    const stream = await pair.open(1);
    await readQuickly(pair, stream.client, 64 * MIB);
    for (let count = 0; count < 64; count += 1) {
      vi.advanceTimersByTime(2500);
      await readQuickly(pair, stream.client, MIB);
    }
    expect(await takenUnread(pair, stream)).toBeLessThanOrEqual(WINDOW_BYTES + 64 * 1024);
  });

  test('grows for all together by 12 MiB at most, and an ended stream leaves its part', async () => {
    await using pair = await connectionPair();
    const streams: OpenPair[] = [];
    for (let number = 1; number <= 4; number += 1) {
      const stream = await pair.open(number);
      await readQuickly(pair, stream.client, 32 * MIB);
      streams.push(stream);
    }
    const [first, ...others] = streams;
    first?.client.end(1000);
    await settled(pair);
    const last = await pair.open(5);
    await readQuickly(pair, last.client, 32 * MIB);
    let sum = 0;
    for (const stream of others) {
      sum += await takenUnread(pair, stream);
    }
    expect(await takenUnread(pair, last)).toBeGreaterThan(2 * WINDOW_BYTES);
    expect(sum).toBeLessThan(3 * WINDOW_BYTES + 12 * MIB);
  });

  test('grows by 12 MiB at most for all connections of a session, and each leaves its part when it is lost', async () => {
    const gateway = new ByteBudget(15 * MIB);
    const session = new ByteBudget(MORE_WINDOW_BYTES, gateway);
    const pairs: ConnectionPair[] = [];
    const open: OpenPair[] = [];
    await using stack = new AsyncDisposableStack();
    for (let number = 0; number < 6; number += 1) {
      const pair = stack.use(await connectionPair(10_000, session));
      const stream = await pair.open(1);
      await readQuickly(pair, stream.client, 32 * MIB);
      pairs.push(pair);
      open.push(stream);
    }
    expect(session.left).toBeLessThan(MIB);
    expect(gateway.left).toBe(3 * MIB + session.left);
    // Another session has what this one leaves of what all have.
    const otherSession = new ByteBudget(MORE_WINDOW_BYTES, gateway);
    const other = stack.use(await connectionPair(10_000, otherSession));
    const late = await other.open(1);
    await readQuickly(other, late.client, 32 * MIB);
    expect(gateway.left).toBeLessThan(MIB);
    expect(gateway.left).toBeGreaterThanOrEqual(0);
    let sum = 0;
    for (const [at, pair] of pairs.entries()) {
      const stream = open[at];
      sum += stream === undefined ? 0 : await takenUnread(pair, stream);
    }
    expect(sum).toBeGreaterThan(6 * WINDOW_BYTES + 8 * MIB);
    expect(sum).toBeLessThan(6 * (WINDOW_BYTES + 64 * 1024) + MORE_WINDOW_BYTES);
    for (const pair of [...pairs, other]) {
      pair.accepted.destroy();
    }
    await expect.poll(() => gateway.left).toBe(15 * MIB);
    expect(session.left).toBe(MORE_WINDOW_BYTES);
  });

  test('that has grown is kept to the byte', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    await readQuickly(pair, client, 64 * MIB);
    server.pause();
    const codes: number[] = [];
    server.on('close', (code) => codes.push(code));
    client.send([Buffer.alloc(4 * MAX_WINDOW_BYTES)]);
    await settled(pair);
    expect(codes).toEqual([]);
    const frame = Buffer.alloc(FRAME_HEADER_BYTES + 1);
    writeDataHeader(frame, 1, 1);
    pair.socket.write(frame);
    await expect.poll(() => codes).toEqual([1002]);
  });
});
