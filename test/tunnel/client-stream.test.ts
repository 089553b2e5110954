import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test, vi } from 'vitest';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { HoopError } from '../../src/errors.ts';
import type { StreamRecording } from '../../src/recording/write/recorded-stream.ts';
import { ClientStream } from '../../src/tunnel/client-stream.ts';
import { CARRIERS, carrierPair } from '../gateway/carrier-pair.ts';

/** More than this is written at once, as the recording does. */
const COLLECTED_BYTES = 8 * 1024;

const NOT_PASSED_ON = {
  code: 'HOOP_INTERNAL',
  message: 'what was recorded could not be passed on',
  cause: { message: 'a fault of ours' },
};

function open(carrier: StreamCarrier, options: { fails?: boolean; reason?: HoopError } = {}) {
  const recorded: [Buffer[], Buffer[]] = [[], []];
  const waiting: (() => void)[] = [];
  let lastLength = 0;
  const recording: StreamRecording = {
    data: (_stream, direction, parts) => {
      if (options.fails) {
        throw new Error('disk full');
      }
      const bytes = Buffer.concat(parts);
      recorded[direction].push(bytes);
      lastLength = bytes.length;
      if (bytes.length > COLLECTED_BYTES) {
        recording.turns.flush();
      }
    },
    turns: {
      flush: () => {
        for (const forward of waiting.splice(0)) {
          forward();
        }
      },
      // Small data not before the end of the turn, so that who does not wait is found out.
      whenWritten: (forward) => {
        if (waiting.length === 0 && lastLength > COLLECTED_BYTES) {
          forward();
          return;
        }
        waiting.push(forward);
        setImmediate(() => recording.turns.flush());
      },
    },
  };
  const stream = new ClientStream({ carrier, stream: 1, recording, reason: () => options.reason });
  stream.on('error', () => undefined);
  const text = (direction: 0 | 1): string => Buffer.concat(recorded[direction]).toString();
  return { stream, up: () => text(0), down: () => text(1), flush: () => recording.turns.flush() };
}

describe.each(CARRIERS)('the client’s end of a stream over %s', (kind) => {
  test('moves bytes both ways and records them', async () => {
    await using pair = await carrierPair(kind);
    const { stream, up, down } = open(pair.client);
    const received = once(pair.server, 'data');
    stream.write('up');
    expect(up()).toBe('up');
    expect(String((await received)[0])).toBe('up');
    const read = once(stream, 'data');
    pair.server.send([Buffer.from('down')]);
    expect(String((await read)[0])).toBe('down');
    expect(down()).toBe('down');
  });

  test('ends when the gateway ends it, after all that came', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.client);
    const closed = once(pair.server, 'close');
    pair.server.send([Buffer.from('goodbye')]);
    pair.server.end(1000);
    expect((await buffer(stream)).toString()).toBe('goodbye');
    expect((await closed)[0]).toBe(1000);
  });

  test('closes its half after all that was written, and goes on reading', async () => {
    await using pair = await carrierPair(kind);
    const { stream, up } = open(pair.client);
    let received = 0;
    pair.server.on('data', (bytes) => {
      received += bytes.length;
    });
    const halfClosed = once(pair.server, 'halfClose');
    stream.write(Buffer.alloc(3_000_000, 'x'));
    stream.write('last');
    stream.halfClose();
    await halfClosed;
    expect(received).toBe(3_000_004);
    expect(up()).toHaveLength(3_000_004);
    pair.server.send([Buffer.from('answer')]);
    expect(String((await once(stream, 'data'))[0])).toBe('answer');
    const closed = once(pair.server, 'close');
    stream.end();
    expect((await closed)[0]).toBe(1000);
  });

  test('ended by the local client, still takes what the gateway had to say', async () => {
    await using pair = await carrierPair(kind);
    const { stream, down } = open(pair.client);
    const ended = buffer(stream);
    pair.server.on('data', () => {
      // Sent before the gateway has seen the end.
      pair.server.send([Buffer.from('last')]);
    });
    stream.end('X');
    expect((await ended).toString()).toBe('last');
    expect(down()).toBe('last');
  });

  test.each([1008, 1011])('fails when the gateway ends it with %d', async (code) => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.client);
    stream.resume();
    const failed = once(stream, 'error');
    pair.server.end(code);
    expect((await failed)[0]).toMatchObject({ code: 'HOOP_UNREACHABLE' });
  });

  test('fails with the reason of the session when the connection breaks', async () => {
    await using pair = await carrierPair(kind);
    const reason = new HoopError('HOOP_SESSION_EXPIRED', 'the session has expired');
    const { stream } = open(pair.client, { reason });
    stream.resume();
    const failed = once(stream, 'error');
    pair.server.terminate();
    expect((await failed)[0]).toBe(reason);
  });

  test('gives nothing on that cannot be recorded, either way', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.client, { fails: true });
    const got: Buffer[] = [];
    pair.server.on('data', (bytes) => got.push(bytes));
    stream.on('data', (bytes: Buffer) => got.push(bytes));
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const ended = once(pair.server, 'close');
    pair.server.send([Buffer.from('secret')]);
    await closed;
    stream.write('more');
    await ended;
    expect(got).toEqual([]);
  });

  test('a fault of ours in sending what has been written ends the stream, and nobody else', async () => {
    await using pair = await carrierPair(kind);
    const { stream, flush } = open(pair.client);
    vi.spyOn(pair.client, 'send').mockImplementation(() => {
      throw new TypeError('a fault of ours');
    });
    const failed = once(stream, 'error');
    stream.write('lost');
    expect(flush).not.toThrow();
    expect((await failed)[0]).toMatchObject(NOT_PASSED_ON);
  });

  test('a fault of ours in closing the half ends the stream', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.client);
    vi.spyOn(pair.client, 'halfClose').mockImplementation(() => {
      throw new TypeError('a fault of ours');
    });
    const failed = once(stream, 'error');
    stream.halfClose();
    expect((await failed)[0]).toMatchObject(NOT_PASSED_ON);
  });

  test('a fault of whoever reads it ends the stream, and nobody else', async () => {
    await using pair = await carrierPair(kind);
    const { stream, flush } = open(pair.client);
    stream.on('data', () => {
      throw new TypeError('a fault of ours');
    });
    const failed = once(stream, 'error');
    const came = once(pair.client, 'data');
    pair.server.send([Buffer.from('down')]);
    await came;
    expect(flush).not.toThrow();
    expect((await failed)[0]).toMatchObject(NOT_PASSED_ON);
  });

  test('stops the gateway while the local client does not read', async () => {
    await using pair = await carrierPair(kind);
    const { stream, down } = open(pair.client);
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const total = 16 * 1024 * 1024;
    let sent = 0;
    const send = (): void => {
      if (sent < total) {
        sent += chunk.length;
        pair.server.send([chunk], send);
      } else {
        pair.server.end(1000);
      }
    };
    stream.once('readable', send);
    pair.server.send([Buffer.from('go')]);
    await expect.poll(() => pair.client.isPaused).toBe(true);
    expect(down().length).toBeLessThan(2 * 1024 * 1024);
    expect((await buffer(stream)).length).toBe(total + 2);
  });
});
