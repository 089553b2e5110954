import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { WINDOW_BYTES } from '../../src/carrier/multiplexed-stream.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { StreamRefused } from '../../src/carrier/stream-connection.ts';
import {
  encodeAccepted,
  encodeEnd,
  encodeOpen,
  encodeWindow,
  FRAME_HEADER_BYTES,
  writeDataHeader,
} from '../../src/protocol/carrier/frames.ts';
import { type ConnectionPair, connectionPair } from '../gateway/carrier-pair.ts';

const never = new AbortController().signal;

/** Counts and joins what comes. */
function collect(carrier: StreamCarrier): { readonly text: () => string; length: number } {
  const parts: Buffer[] = [];
  const collected = { text: () => Buffer.concat(parts).toString(), length: 0 };
  carrier.on('data', (bytes) => {
    parts.push(bytes);
    collected.length += bytes.length;
  });
  return collected;
}

function dataFrame(stream: number, length: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + length, 'x');
  writeDataHeader(frame, stream, length);
  return frame;
}

/** Until each end has read all that the other has written. */
async function settled({ socket, accepted }: ConnectionPair): Promise<void> {
  for (let still = 0; still < 3; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const isQuiet =
      socket.bytesRead === accepted.bytesWritten && accepted.bytesRead === socket.bytesWritten;
    still = isQuiet ? still + 1 : 0;
  }
}

describe('the streams of one connection', () => {
  test('carry each their own bytes, with the kind that was asked for', async () => {
    await using pair = await connectionPair();
    const one = await pair.open(1);
    const two = await pair.open(2);
    const got = [collect(one.server), collect(two.server), collect(one.client)];
    one.client.send([Buffer.from('to '), Buffer.from('one')]);
    two.client.send([Buffer.from('to two')]);
    one.server.send([Buffer.from('back')]);
    await settled(pair);
    expect(got.map(({ text }) => text())).toEqual(['to one', 'to two', 'back']);
    expect(pair.kinds).toEqual(['postgres', 'postgres']);
  });

  test.each([
    ['more than goes at once', 300_000],
    ['at once', 200_000],
  ])('carry what is sent in pieces of a byte each: %s', async (_what, length) => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const got = collect(server);
    const sent = Buffer.alloc(length, 'byte for byte ');
    const done = new Promise<Error | undefined>((resolve) => {
      client.send(
        Array.from(sent, (_, at) => sent.subarray(at, at + 1)),
        resolve,
      );
    });
    server.resume();
    expect(await done).toBeUndefined();
    await settled(pair);
    expect(got.text() === sent.toString()).toBe(true);
  });

  test('that send in the same turn share one write', async () => {
    await using pair = await connectionPair();
    const streams = [await pair.open(1), await pair.open(2), await pair.open(3)];
    const sizes: number[] = [];
    pair.accepted.on('data', (bytes) => sizes.push(bytes.length));
    for (const { client } of streams) {
      client.send([Buffer.from('SELECT 1')]);
    }
    await settled(pair);
    expect(sizes).toEqual([3 * (FRAME_HEADER_BYTES + 8)]);
  });

  test('do not wait for one that nobody reads, and that one gets no more than its window', async () => {
    await using pair = await connectionPair();
    const standing = await pair.open(1);
    const other = await pair.open(2);
    standing.client.pause();
    const kept = collect(standing.client);
    let isAllSent = false;
    standing.server.send([Buffer.alloc(8 * WINDOW_BYTES, 's')], () => {
      isAllSent = true;
    });
    await settled(pair);
    expect(pair.socket.bytesRead).toBeLessThan(WINDOW_BYTES + 4096);
    expect(standing.server.unsentBytes).toBe(7 * WINDOW_BYTES);
    const answers = collect(other.client);
    for (let count = 0; count < 100; count += 1) {
      other.server.send([Buffer.from('row;')]);
    }
    await settled(pair);
    expect(answers.length).toBe(400);
    expect([kept.length, isAllSent]).toEqual([0, false]);
    standing.client.resume();
    await settled(pair);
    expect([kept.length, isAllSent]).toEqual([8 * WINDOW_BYTES, true]);
  });

  test('take turns when more is to be sent than the connection takes', async () => {
    await using pair = await connectionPair();
    const first = await pair.open(1);
    const second = await pair.open(2);
    const order: number[] = [];
    first.client.on('data', (bytes) =>
      order.push(...Array(Math.ceil(bytes.length / 65_536)).fill(1)),
    );
    second.client.on('data', (bytes) =>
      order.push(...Array(Math.ceil(bytes.length / 65_536)).fill(2)),
    );
    const megabytes = Buffer.alloc(16 * 1024 * 1024, 'm');
    first.server.send([megabytes]);
    second.server.send([megabytes]);
    await expect.poll(() => order.length).toBeGreaterThan(500);
    // Neither is done before the other has had a good part.
    expect(order.slice(0, order.lastIndexOf(1)).filter((n) => n === 2).length).toBeGreaterThan(100);
    expect(order.slice(0, order.lastIndexOf(2)).filter((n) => n === 1).length).toBeGreaterThan(100);
  });

  test('end with a code, after all that was sent, and the peer answers with the same', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const got = collect(server);
    const closed = [once(client, 'close'), once(server, 'close')];
    client.send([Buffer.alloc(3 * WINDOW_BYTES, 'x')]);
    client.end(1008);
    expect(client.isOpen).toBe(false);
    expect((await Promise.all(closed)).map(([code]) => code)).toEqual([1008, 1008]);
    expect(got.length).toBe(3 * WINDOW_BYTES);
  });

  test('that send single bytes to a paused reader cost it no more than their window', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    server.pause();
    const pieces: number[] = [];
    const shared = new Set<ArrayBufferLike>();
    server.on('data', (bytes) => {
      pieces.push(bytes.length);
      shared.add(bytes.buffer);
    });
    for (let at = 0; at < 50_000; at += 1) {
      client.send([Buffer.from([at % 256])]);
    }
    client.send([Buffer.alloc(20_000, 'l')]);
    client.send([Buffer.from('end')]);
    await settled(pair);
    server.resume();
    expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(70_003);
    expect(pieces.length).toBeLessThan(10);
    expect(shared.size).toBeLessThan(10);
  });

  test('whose bytes come among much else keep none of that for a paused reader', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    server.pause();
    const shared = new Set<ArrayBufferLike>();
    let length = 0;
    server.on('data', (bytes) => {
      shared.add(bytes.buffer);
      length += bytes.length;
    });
    // To a stream that there is not: a window costs its sender nothing, and is for nobody.
    const nothing = Buffer.alloc(120_000).fill(encodeWindow(9, 1));
    for (let count = 0; count < 100; count += 1) {
      pair.server.receive(Buffer.concat([dataFrame(1, 9000), nothing]));
    }
    server.resume();
    const kept = [...shared].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(length).toBe(900_000);
    expect(kept).toBeLessThan(2 * length);
  });

  test('keep what waits in order, however small the pieces are', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    server.pause();
    const got = collect(server);
    let sent = '';
    for (let at = 0; at < 400; at += 1) {
      const piece = `${at};`.repeat(1 + ((at * 37) % 900));
      sent += piece;
      client.send([Buffer.from(piece)]);
    }
    const first = sent.slice(0, WINDOW_BYTES);
    await settled(pair);
    server.resume();
    expect(got.text().slice(0, first.length)).toBe(first);
    await expect.poll(() => got.length).toBe(sent.length);
    expect(got.text()).toBe(sent);
  });

  test('close their half once, however often that is said', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    server.pause();
    let count = 0;
    server.on('halfClose', () => {
      count += 1;
    });
    for (let at = 0; at < 1000; at += 1) {
      client.halfClose();
    }
    await settled(pair);
    server.resume();
    expect(count).toBe(1);
  });

  test('what waits for a paused reader is delivered before the end', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    client.pause();
    const got = collect(client);
    const codes: number[] = [];
    client.on('close', (code) => codes.push(code));
    server.send([Buffer.from('last words')]);
    server.end(1000);
    await settled(pair);
    expect([got.text(), codes]).toEqual(['', []]);
    client.resume();
    expect([got.text(), codes]).toEqual(['last words', [1000]]);
  });

  test('that are cut off are lost on both sides, whoever reads, and the others are not', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const other = await pair.open(2);
    client.pause();
    const closed = [once(client, 'close'), once(server, 'close')];
    let failed: Error | undefined;
    server.send([Buffer.alloc(4 * WINDOW_BYTES)], (error) => {
      failed = error;
    });
    server.terminate();
    expect(server.isClosed).toBe(false);
    expect((await Promise.all(closed)).map(([code]) => code)).toEqual([1006, 1006]);
    expect(failed).toBeInstanceOf(Error);
    const got = collect(other.server);
    other.client.send([Buffer.from('still here')]);
    await settled(pair);
    expect(got.text()).toBe('still here');
  });

  test('are all lost with the connection, with what was to be sent', async () => {
    await using pair = await connectionPair();
    const one = await pair.open(1);
    const two = await pair.open(2);
    let failed: Error | undefined;
    one.client.pause();
    one.server.send([Buffer.alloc(4 * WINDOW_BYTES)], (error) => {
      failed = error;
    });
    const closed = [one.client, two.client, one.server, two.server].map((c) => once(c, 'close'));
    pair.socket.destroy();
    expect((await Promise.all(closed)).map(([code]) => code)).toEqual([1006, 1006, 1006, 1006]);
    expect(failed).toBeInstanceOf(Error);
    expect([pair.client.isOpen, pair.server.isOpen, one.client.isOpen]).toEqual([
      false,
      false,
      false,
    ]);
    await expect(pair.client.open(3, 'postgres', never)).rejects.toThrow('lost');
  });

  test('that the gateway refuses say why, and their number can be asked for again', async () => {
    await using pair = await connectionPair();
    pair.refusal = Buffer.from('{"no":true}');
    const refused = await pair.open(1).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StreamRefused);
    expect(refused).toMatchObject({ why: new Uint8Array(Buffer.from('{"no":true}')) });
    await settled(pair);
    pair.refusal = undefined;
    await pair.open(1);
  });

  test('that nobody waits for any more are given up, answered or not', async () => {
    await using pair = await connectionPair();
    const abort = new AbortController();
    const opening = pair.client.open(1, 'postgres', abort.signal);
    abort.abort(new Error('gone'));
    await expect(opening).rejects.toThrow('gone');
    await settled(pair);
    expect(pair.kinds).toEqual(['postgres']);
    const { client, server } = await pair.open(2);
    const got = collect(server);
    client.send([Buffer.from('next')]);
    await settled(pair);
    expect(got.text()).toBe('next');
  });

  test('may take long to send what stands before their end', async () => {
    await using pair = await connectionPair(1);
    const { client, server } = await pair.open(1);
    client.pause();
    const got = collect(client);
    const closed = once(client, 'close');
    server.send([Buffer.alloc(3 * WINDOW_BYTES, 'x')]);
    server.end(1000);
    await settled(pair);
    // Longer than an end may take that is on its way.
    await setTimeout(20);
    client.resume();
    expect((await closed)[0]).toBe(1000);
    expect(got.length).toBe(3 * WINDOW_BYTES);
  });

  test('say once that their connection is lost, also to who asks late', async () => {
    await using pair = await connectionPair();
    const { client } = await pair.open(1);
    const lost: string[] = [];
    pair.client.onceLost(() => lost.push('early'));
    const closed = once(client, 'close');
    pair.client.terminate();
    pair.client.onceLost(() => lost.push('between'));
    await closed;
    pair.client.onceLost(() => lost.push('late'));
    expect(lost).toEqual(['early', 'between', 'late']);
  });

  test('close when the peer never answers their end', async () => {
    await using pair = await connectionPair(1);
    const { client } = await pair.open(1);
    pair.accepted.pause();
    const closed = once(client, 'close');
    client.end(1000);
    expect((await closed)[0]).toBe(1006);
  });
});

/** A peer that does what no connection of ours does: all streams are lost, nothing else happens. */
describe('a connection whose peer breaks the rules is closed', () => {
  test.each<[string, (pair: ConnectionPair) => Uint8Array]>([
    ['data of a stream that there is not', () => dataFrame(9, 1)],
    ['an end of a stream that there is not', () => encodeEnd(9, 1000)],
    ['a stream that is open already', () => encodeOpen(1, 'postgres')],
    ['an answer, from the CLI', () => encodeAccepted(1)],
    ['an end twice', () => Buffer.concat([encodeEnd(1, 1000), encodeEnd(1, 1000)])],
    ['data after the end', () => Buffer.concat([encodeEnd(1, 1000), dataFrame(1, 1)])],
  ])('%s', async (_what, bytes) => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    // So that its end is not answered yet.
    server.pause();
    server.send([Buffer.alloc(4 * WINDOW_BYTES)]);
    client.pause();
    const closed = once(server, 'close');
    pair.socket.write(bytes(pair));
    expect((await closed)[0]).toBe(1002);
    expect(pair.server.isOpen).toBe(false);
  });

  test('more data than the window, though nobody reads, and not one byte before', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    server.pause();
    const codes: number[] = [];
    server.on('close', (code) => codes.push(code));
    pair.socket.write(dataFrame(1, WINDOW_BYTES));
    await settled(pair);
    expect(codes).toEqual([]);
    pair.socket.write(dataFrame(1, 1));
    await expect.poll(() => codes).toEqual([1002]);
  });

  test('a stream that the gateway opens', async () => {
    await using pair = await connectionPair();
    const { client } = await pair.open(1);
    const closed = once(client, 'close');
    pair.accepted.write(encodeOpen(2, 'postgres'));
    expect((await closed)[0]).toBe(1002);
  });

  test('more streams than anybody has', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    const closed = once(server, 'close');
    const frames = Array.from({ length: 5000 }, (_, at) => encodeOpen(at + 2, 'postgres'));
    pair.socket.write(Buffer.concat(frames));
    expect((await closed)[0]).toBe(1002);
    expect(pair.kinds.length).toBe(4096);
  });

  test('streams that it leaves with all of their answers, again and again', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    const codes: number[] = [];
    server.on('close', (code) => codes.push(code));
    let opened = 1;
    while (codes.length === 0 && opened < 600) {
      opened += 1;
      const pairOfEnds = await pair.open(opened).catch(() => undefined);
      if (pairOfEnds === undefined) {
        break;
      }
      const { client, server: left } = pairOfEnds;
      client.pause();
      left.send([Buffer.alloc(WINDOW_BYTES + 1)]);
      client.end(1000);
      await once(left, 'close');
    }
    await expect.poll(() => codes).toEqual([1002]);
    expect(opened).toBeGreaterThan(250);
    expect(opened).toBeLessThan(300);
  });

  test('a flood of streams that are refused', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    pair.refusal = Buffer.from('no');
    const closed = once(server, 'close');
    const frames: Uint8Array[] = [];
    for (let stream = 2; stream < 3000; stream += 1) {
      frames.push(encodeOpen(stream, 'postgres'), encodeEnd(stream, 1000));
    }
    // One chunk, as the joined records of TLS are.
    pair.server.receive(Buffer.concat(frames));
    expect((await closed)[0]).toBe(1002);
    expect(pair.kinds.length).toBeLessThan(1100);
  });

  test('answers that it does not read', async () => {
    await using pair = await connectionPair();
    const { server } = await pair.open(1);
    pair.refusal = Buffer.alloc(60_000, 'n');
    pair.socket.pause();
    const closed = once(server, 'close');
    const frames: Uint8Array[] = [];
    for (let stream = 2; stream < 1000; stream += 1) {
      frames.push(encodeOpen(stream, 'postgres'), encodeEnd(stream, 1000));
    }
    pair.socket.write(Buffer.concat(frames));
    expect((await closed)[0]).toBe(1006);
    expect(pair.kinds.length).toBeLessThan(400);
  });

  test('but not one that opens its window far, which changes nothing', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const got = collect(client);
    for (let count = 0; count < 8; count += 1) {
      pair.socket.write(encodeWindow(1, 0xffffffff));
    }
    await settled(pair);
    server.send([Buffer.alloc(WINDOW_BYTES, 'x')]);
    await settled(pair);
    expect(got.length).toBe(WINDOW_BYTES);
  });
});
