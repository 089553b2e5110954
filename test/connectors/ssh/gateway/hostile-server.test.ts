/** Servers that say more than servers say. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SshStreamLimits } from '../../../../src/connectors/ssh/gateway/types.ts';
import { CHANNEL_WINDOW_BYTES } from '../../../../src/connectors/ssh/protocol/frame.ts';
import { TestStream } from './ssh-stream-bench.ts';
import { sendPacket, socketOf, startSsh2Server } from './ssh2-server.ts';

const REQUEST = Buffer.of(98);
const GLOBAL_REQUEST = Buffer.of(80);
const CHANNEL_OPEN = Buffer.of(90);
const YES = Buffer.of(1);
const NO = Buffer.of(0);

let key: { readonly private: string; readonly public: string };
beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-key-'));
  const file = join(directory, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  const [kind, blob] = readFileSync(`${file}.pub`, 'utf8').split(' ');
  key = { private: readFileSync(file, 'utf8'), public: `${kind} ${blob}` };
  rmSync(directory, { recursive: true });
});

let streams: TestStream[] = [];
afterAll(async () => {
  for (const stream of streams) {
    stream.client.destroy();
    await stream.done.catch(() => undefined);
  }
  streams = [];
});

/** A stream to a server that does this when a command has begun. */
async function withServer(
  use: (stream: TestStream, connection: Connection) => Promise<void>,
  limits: Partial<SshStreamLimits> = {},
): Promise<void> {
  await using server = await startSsh2Server(key, (connection) => {
    connection.on('session', (accept) => accept().on('exec', (yes) => yes()));
  });
  const stream = new TestStream(1, {
    target: { kind: 'ssh', name: 'web-1', connectTimeoutMs: 10_000, ...server.target },
    limits,
  });
  streams.push(stream);
  stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
  await stream.frame('hello');
  stream.open(0);
  await stream.frame('opened', 0);
  stream.exec(0, 'anything');
  await stream.frame('success', 0);
  const [connection] = server.connections;
  if (connection === undefined) {
    throw new Error('nobody has logged in');
  }
  await use(stream, connection);
}

/** What is answered while keys are exchanged waits here, and not in buffers of the system. */
const FLOOD_LIMITS = { rekeyBytes: 512, unreadBytes: 4096 };

/** Sends again and again, without reading what is answered, until the stream has ended. */
async function flood(
  stream: TestStream,
  connection: Connection,
  packet: readonly (number | string | Buffer)[],
): Promise<string> {
  const socket = socketOf(connection);
  socket.pause();
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  stream.done.then(over, over);
  while (!isOver) {
    for (let count = 0; count < 100 && socket.writable; count += 1) {
      sendPacket(connection, ...packet);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { problem } = await stream.done;
  return `${problem?.code} ${problem?.detail}`;
}

describe('a server', () => {
  test('that takes a byte in a packet gets none, since each would have to be sealed by itself', async () => {
    await using server = await startSsh2Server(key, (connection) => {
      const protocol = Reflect.get(connection, '_protocol');
      const confirm = protocol.channelOpenConfirm.bind(protocol);
      protocol.channelOpenConfirm = (remote: number, own: number, window: number) =>
        confirm(remote, own, window, 1);
      connection.on('session', (accept) => accept());
    });
    const stream = new TestStream(1, {
      target: { kind: 'ssh', name: 'web-1', connectTimeoutMs: 10_000, ...server.target },
    });
    streams.push(stream);
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await stream.frame('hello');
    stream.open(0);
    const { problem } = await stream.done;
    expect(problem?.detail).toContain('the server takes packets of 1 bytes only');
  });

  test('whose messages are thousands of the smallest, over many turns, is heard in its order', async () => {
    await withServer(async (stream, connection) => {
      const text = Array.from({ length: 5_000 }, (_, index) => String(index % 10));
      socketOf(connection).cork();
      for (const one of text) sendPacket(connection, Buffer.of(94), 0, one);
      sendPacket(connection, Buffer.of(97), 0);
      socketOf(connection).uncork();
      await stream.frame('close', 0);
      expect(stream.outcome(0).stdout.toString()).toBe(text.join(''));
    });
  });

  test('that says again and again how a channel ended is heard once', async () => {
    await withServer(async (stream, connection) => {
      for (let status = 0; status < 1000; status += 1) {
        sendPacket(connection, REQUEST, 0, 'exit-status', NO, status);
        sendPacket(connection, REQUEST, 0, 'exit-signal', NO, 'TERM', NO, '', '');
      }
      sendPacket(connection, Buffer.of(97), 0);
      await stream.frame('close', 0);
      const said = stream.of(0).filter(({ type }) => /^exit/.test(type));
      expect(said).toEqual([{ type: 'exitStatus', channel: 0, status: 0 }]);
    });
  });

  test.each<[string, readonly (number | string | Buffer)[]]>([
    ['about a channel', [REQUEST, 0, 'are-you-there', YES]],
    ['about the connection', [GLOBAL_REQUEST, 'keepalive@openssh.com', YES]],
    ['for channels of its own', [CHANNEL_OPEN, 'session', 7, 1000, 1000]],
  ])('that asks %s, on and on, and does not read the answers, is left', async (_, packet) => {
    await withServer(async (stream, connection) => {
      expect(await flood(stream, connection, packet)).toBe(
        'HOOP_TARGET_UNREACHABLE The server broke the protocol: the server does not read what it asks for.',
      );
    }, FLOOD_LIMITS);
  });

  test('that asks whether we are there, wants a channel, or tells of its keys, is answered; nobody asks for proofs', async () => {
    await withServer(async (stream, connection) => {
      const asked: string[] = [];
      const answered = Promise.withResolvers<void>();
      const handlers = Reflect.get(connection, '_protocol')._handlers;
      handlers['GLOBAL_REQUEST'] = (_self: unknown, name: string) => asked.push(name);
      handlers['REQUEST_FAILURE'] = () => answered.resolve();
      const blob = Buffer.from(key.public.split(' ')[1] ?? '', 'base64').toString('latin1');
      const list = Buffer.concat([
        Buffer.from([0, 0, 0, blob.length]),
        Buffer.from(blob, 'latin1'),
      ]);
      for (let count = 0; count < 100; count += 1) {
        sendPacket(connection, GLOBAL_REQUEST, 'hostkeys-00@openssh.com', NO, list);
      }
      sendPacket(connection, CHANNEL_OPEN, 'x11', 7, 1000, 1000, '127.0.0.1', 1);
      // What comes behind it is dealt with behind it.
      sendPacket(connection, GLOBAL_REQUEST, 'keepalive@openssh.com', YES);
      await answered.promise;
      expect(asked).toEqual([]);
      sendPacket(connection, Buffer.of(97), 0);
      await stream.frame('close', 0);
    });
  });

  test('whose stderr is long gets new keys as for its output', async () => {
    const limits = { rekeyBytes: 64 * 1024 };
    await withServer(async (stream, connection) => {
      const renewed = new Promise<void>((resolve) => connection.once('rekey', resolve));
      for (let count = 0; count < 10; count += 1) {
        sendPacket(connection, Buffer.of(95), 0, 1, 'e'.repeat(16_384));
      }
      await renewed;
      sendPacket(connection, Buffer.of(97), 0);
      await stream.frame('close', 0);
      expect(stream.outcome(0).stderr.length).toBeLessThanOrEqual(CHANNEL_WINDOW_BYTES);
    }, limits);
  });
});
