import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test, vi } from 'vitest';
import type { StreamCarrier } from '../../../src/carrier/stream-carrier.ts';
import { WebSocketCarrier } from '../../../src/carrier/web-socket-carrier.ts';
import { TunnelStream } from '../../../src/gateway/sessions/tunnel-stream.ts';
import {
  encodeWindow,
  FRAME_HEADER_BYTES,
  writeDataHeader,
} from '../../../src/protocol/carrier/frames.ts';
import type { Direction } from '../../../src/recording/formats/types.ts';
import { readHalf } from '../../read-all.ts';
import { CARRIERS, carrierPair, connectionPair } from '../carrier-pair.ts';
import { webSocketPair } from '../web-socket-pair.ts';

const NOT_PASSED_ON = { code: 'HOOP_INTERNAL', cause: { message: 'a fault of ours' } };

/** Keeps what a recording is told, in order; holds the legs while `gate` is set. */
class TestRecording {
  readonly chunks: [Uint8Array[], Uint8Array[]] = [[], []];
  gate: Promise<void> | undefined;
  fails = false;

  readonly #waiting: (() => void)[] = [];

  data(_stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    if (this.fails) {
      throw new Error('disk full');
    }
    this.chunks[direction].push(Uint8Array.from(Buffer.concat(parts)));
  }

  flush(): void {
    if (this.fails) {
      throw new Error('disk full');
    }
    for (const forward of this.#waiting.splice(0)) {
      forward();
    }
  }

  /** Not before the end of the turn, so that who does not wait is found out. */
  whenWritten(forward: () => void): void {
    this.#waiting.push(forward);
    setImmediate(() => {
      if (!this.fails) {
        this.flush();
      }
    });
  }

  get turns(): Pick<TestRecording, 'flush' | 'whenWritten'> {
    return this;
  }

  backpressure(): Promise<void> | undefined {
    return this.gate;
  }

  get up(): string {
    return Buffer.concat(this.chunks[0]).toString();
  }

  get down(): string {
    return Buffer.concat(this.chunks[1]).toString();
  }
}

function open(carrier: StreamCarrier) {
  const recording = new TestRecording();
  const faults: unknown[] = [];
  let activity = 0;
  const stream = new TunnelStream({
    carrier,
    stream: 1,
    recording,
    onActivity: () => {
      activity += 1;
    },
    onRecordingFault: (error) => faults.push(error),
  });
  // When the pair is taken down the stream breaks.
  stream.on('error', () => stream.destroy());
  return { stream, recording, faults, activity: () => activity };
}

test('what waits for the engine is kept without what came around it', async () => {
  await using pair = await connectionPair();
  const { server } = await pair.open(1);
  const { stream } = open(server);
  const nothing = Buffer.alloc(15_996).fill(encodeWindow(9, 1));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeDataHeader(header, 1, 1);
  for (let count = 0; count < 1000; count += 1) {
    pair.server.receive(Buffer.concat([header, Buffer.from('x'), nothing]));
  }
  const shared = new Set<ArrayBufferLike>();
  let length = 0;
  for (let piece = stream.read(1); piece !== null; piece = stream.read(1)) {
    shared.add((piece as Buffer).buffer);
    length += 1;
  }
  expect(length).toBe(1000);
  const kept = [...shared].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(kept).toBeLessThan(1_000_000);
});

describe.each(CARRIERS)('a stream over %s', (kind) => {
  test('bytes go both ways and are in the recording before they go on', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording, activity } = open(pair.server);
    pair.client.send([Buffer.from('up')]);
    const [read] = await once(stream, 'data');
    expect(String(read)).toBe('up');
    expect(recording.up).toBe('up');
    expect(activity()).toBe(1);
    const received = once(pair.client, 'data');
    stream.write('down');
    expect(recording.down).toBe('down');
    expect(String((await received)[0])).toBe('down');
    expect(activity()).toBe(2);
  });

  test('a clean close by the client ends the readable side', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.server);
    pair.client.send([Buffer.from('last')]);
    pair.client.end(1000);
    expect((await buffer(stream)).toString()).toBe('last');
  });

  test('a client that closes its half still gets answers, until it ends', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    pair.client.send([Buffer.from('last')]);
    pair.client.halfClose();
    expect((await readHalf(stream)).toString()).toBe('last');
    expect(stream.left.aborted).toBe(false);
    const answer = once(pair.client, 'data');
    stream.write('answer');
    expect(String((await answer)[0])).toBe('answer');
    const left = once(stream.left, 'abort');
    pair.client.end(1000);
    await left;
    expect(recording.down).toBe('answer');
  });

  test('nothing that is sent is no half-close', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.server);
    const read = buffer(stream);
    pair.client.send([]);
    pair.client.send([Buffer.alloc(0)]);
    pair.client.send([Buffer.from('said')]);
    pair.client.halfClose();
    expect((await read).toString()).toBe('said');
  });

  test('what comes behind a half-close is recorded and goes nowhere', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const read = buffer(stream);
    pair.client.send([Buffer.from('said')]);
    pair.client.halfClose();
    pair.client.halfClose();
    pair.client.send([Buffer.from(', and more')]);
    pair.client.end(1000);
    await once(stream.left, 'abort');
    expect((await read).toString()).toBe('said');
    expect(recording.up).toBe('said, and more');
  });

  test('a broken connection is an error, not an end', async () => {
    await using pair = await carrierPair(kind);
    const { stream } = open(pair.server);
    stream.resume();
    const failed = once(stream, 'error');
    pair.client.terminate();
    const [error] = await failed;
    expect(String(error)).toContain('broke (1006)');
  });

  test('what the engine wrote arrives before the close, and up bytes are recorded until then', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const got: string[] = [];
    pair.client.on('data', (data) => {
      got.push(String(data));
      // Sent before the client has seen the close frame.
      pair.client.send([Buffer.from('crossing')]);
    });
    const closed = once(pair.client, 'close');
    const serverClosed = once(pair.server, 'close');
    stream.end('goodbye');
    expect((await closed)[0]).toBe(1000);
    await serverClosed;
    expect(got).toEqual(['goodbye']);
    expect(recording.up).toBe('crossing');
    stream.destroy();
  });

  test('nothing leaves that the recording refused', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording, faults } = open(pair.server);
    recording.fails = true;
    let received = false;
    pair.client.on('data', () => {
      received = true;
    });
    const failed = once(stream, 'error');
    stream.write('secret');
    await failed;
    await once(pair.client, 'close');
    expect(faults).toHaveLength(1);
    expect(received).toBe(false);
  });

  test('up bytes that the recording refused do not reach the engine', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording, faults } = open(pair.server);
    recording.fails = true;
    const read: Buffer[] = [];
    stream.on('data', (chunk) => read.push(chunk));
    pair.client.send([Buffer.from('DROP TABLE x')]);
    pair.client.end(1000);
    await once(stream, 'end');
    expect(read).toEqual([]);
    expect(faults).toHaveLength(1);
  });

  test('while too much is not agreed, both legs wait', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const { promise, resolve } = Promise.withResolvers<void>();
    recording.gate = promise;
    stream.write('held');
    const firstUp = once(stream, 'data');
    pair.client.send([Buffer.from('one')]);
    await firstUp;
    pair.client.send([Buffer.from('two')]);
    // Paused, so what the client sends is not even read.
    expect(pair.server.isPaused).toBe(true);
    expect(recording.down).toBe('');
    expect(recording.up).toBe('one');
    recording.gate = undefined;
    const secondUp = once(stream, 'data');
    const down = once(pair.client, 'data');
    resolve();
    expect(String((await secondUp)[0])).toBe('two');
    expect(String((await down)[0])).toBe('held');
  });

  test('a fault of ours in what waited ends the stream, and is nobody else’s', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const { promise, resolve } = Promise.withResolvers<void>();
    recording.gate = promise;
    recording.whenWritten = () => {
      throw new Error('a fault of ours');
    };
    stream.write('held');
    const failed = once(stream, 'error');
    resolve();
    expect(await failed).toMatchObject([{ message: 'a fault of ours' }]);
  });

  test('a fault of ours in what has been written ends the stream, and others behind it go on', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const send = vi.spyOn(pair.server, 'send').mockImplementation(() => {
      throw new Error('a fault of ours');
    });
    const failed = once(stream, 'error');
    stream.write('lost');
    // As another stream of the session, whose bytes share the frame.
    const { promise: wentOn, resolve } = Promise.withResolvers<void>();
    recording.whenWritten(resolve);
    expect(() => recording.flush()).not.toThrow();
    await wentOn;
    expect(await failed).toMatchObject([NOT_PASSED_ON]);
    expect(send).toHaveBeenCalledOnce();
  });

  test('a fault of whoever reads it ends the stream, and not the connection', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const failed = once(stream, 'error');
    stream.once('data', () => {
      throw new Error('a fault of ours');
    });
    pair.client.send([Buffer.from('up')]);
    expect(await failed).toMatchObject([NOT_PASSED_ON]);
    expect(recording.up).toBe('up');
  });

  test('an engine that does not read stops the client', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    const total = 16 * 1024 * 1024;
    const send = (): void => {
      if (sent < total) {
        sent += chunk.length;
        pair.client.send([chunk], send);
      }
    };
    send();
    while (!pair.server.isPaused) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(recording.up.length).toBeLessThan(2 * 1024 * 1024);
    let read = 0;
    stream.on('data', (data: Buffer) => {
      read += data.length;
      if (read === total) {
        pair.client.end(1000);
      }
    });
    await once(stream, 'end');
    expect(read).toBe(total);
  });
});

describe.each(CARRIERS)('single bytes over %s', (kind) => {
  test('that the engine does not read wait as few pieces, and none is lost', async () => {
    await using pair = await carrierPair(kind);
    const { stream, recording } = open(pair.server);
    let sent = '';
    for (let at = 0; at < 5000; at += 1) {
      const letter = String.fromCharCode(97 + (at % 26));
      sent += letter;
      pair.client.send([Buffer.from(letter)]);
      if (at % 100 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await expect.poll(() => pair.server.isPaused).toBe(true);
    // A WebSocket hands on what it has of a read before it stops.
    expect(stream.readableLength).toBeLessThan(kind === 'multiplexed' ? 100 : 5000);
    let read = '';
    stream.on('data', (data: Buffer) => {
      read += data.toString();
    });
    await expect.poll(() => read.length).toBe(sent.length);
    expect(read).toBe(sent);
    expect(recording.up).toBe(sent);
  });
});

describe('a stream over websocket', () => {
  test('a text message ends the stream with 1003 and is not recorded', async () => {
    await using pair = await webSocketPair();
    const { stream, recording } = open(new WebSocketCarrier(pair.server));
    const failed = once(stream, 'error');
    const closed = once(pair.client, 'close');
    pair.client.send('text');
    await failed;
    expect((await closed)[0]).toBe(1003);
    expect(recording.up).toBe('');
  });

  test('a message of more than 1 MiB ends the stream with 1009', async () => {
    await using pair = await webSocketPair();
    const { stream } = open(new WebSocketCarrier(pair.server));
    const failed = once(stream, 'error');
    const closed = once(pair.client, 'close');
    pair.client.send(Buffer.alloc(1024 * 1024 + 1));
    await failed;
    expect((await closed)[0]).toBe(1009);
  });
});

describe('a stream over multiplexed', () => {
  test('that is closed without an end frame has broken, also between two frames', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const { stream, recording } = open(server);
    stream.resume();
    const failed = once(stream, 'error');
    client.send([Buffer.from('whole')]);
    await expect.poll(() => recording.up).toBe('whole');
    // What a proxy does that gives up, and what TLS says with a close_notify.
    pair.socket.end();
    const [error] = await failed;
    expect(String(error)).toContain('broke (1006)');
  });

  test('breaks with 1002 by bytes that are no frame, and those before them count', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const { stream, recording } = open(server);
    stream.resume();
    const failed = once(stream, 'error');
    const closed = once(client, 'close');
    client.send([Buffer.from('good')]);
    setImmediate(() => pair.socket.write(Buffer.from('GET / HTTP/1.1')));
    const [error] = await failed;
    expect(String(error)).toContain('broke (1002)');
    expect((await closed)[0]).toBe(1006);
    expect(recording.up).toBe('good');
  });

  test('delivers a message of any size, in frames', async () => {
    await using pair = await connectionPair();
    const { client, server } = await pair.open(1);
    const { stream, recording } = open(server);
    const total = 20 * 1024 * 1024;
    client.send([Buffer.alloc(total / 2, 'y'), Buffer.alloc(total / 2, 'z')]);
    client.end(1000);
    expect((await buffer(stream)).length).toBe(total);
    expect(recording.up.length).toBe(total);
  });
});
