/** Who has not said all of the first message of TLS costs no handshake; held against a real client. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FirstBytes, missingOfHello } from '../../../src/gateway/http/first-bytes.ts';
import { readAll } from '../../read-all.ts';
import { waitFor } from '../../wait-for.ts';

/** What OpenSSL says first. */
async function realHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ host: '127.0.0.1', port: portOf(server), ALPNProtocols: ['h2'] });
  client.on('error', () => undefined);
  const [socket]: Socket[] = await once(server, 'connection');
  const [hello]: Buffer[] = await once(socket as Socket, 'data');
  client.destroy();
  server.close();
  return hello as Buffer;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The same message in records of `length`. */
function parted(hello: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  const message = hello.subarray(5);
  for (let at = 0; at < message.length; at += length) {
    const part = message.subarray(at, at + length);
    parts.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(parts);
}

let hello: Buffer;
let server: Server;
let begun: Socket[];
let accepted: Socket[];
beforeEach(async () => {
  hello = await realHello();
  begun = [];
  accepted = [];
  const first = new FirstBytes({ begin: (socket) => begun.push(socket), timeoutMs: 60_000 });
  server = createServer((socket) => {
    accepted.push(socket);
    first.accept(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of accepted) socket.destroy();
  server.close();
  await once(server, 'close');
});

async function client(): Promise<Socket> {
  const socket = connect(portOf(server), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('each half of a real one lacks some, and never more than there is', () => {
  for (const whole of [hello, parted(hello, 100), parted(hello, hello.length - 8)]) {
    for (let length = 0; length < whole.length; length += 1) {
      const missing = missingOfHello(whole.subarray(0, length)) ?? 0;
      expect(missing).toBeGreaterThan(0);
      expect(length + missing).toBeLessThanOrEqual(whole.length);
    }
    expect(missingOfHello(whole)).toBe(0);
    expect(missingOfHello(Buffer.concat([whole, Buffer.from('more')]))).toBe(0);
  }
});

test('what is no ClientHello is not waited for', () => {
  for (const other of ['GET / HTTP/1.1', '\x16\x03\x01\x00\x00', '\x16\x03\x01\xff\xff']) {
    expect(missingOfHello(Buffer.from(other, 'latin1'))).toBe(0);
  }
  expect(missingOfHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 9]))).toBe(0);
});

test('one that says that it is very long, or comes in records of a byte, is not read', () => {
  expect(missingOfHello(Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0]))).toBeUndefined();
  expect(missingOfHello(parted(hello, 1))).toBeUndefined();
});

test('half of it, however it comes, begins no handshake; the rest of it begins one, with all of it', async () => {
  const half = await client();
  for (const byte of hello.subarray(0, hello.length - 1)) {
    half.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor(() => expect(accepted[0]?.readableLength).toBe(hello.length - 1));
  expect(begun).toEqual([]);
  half.write(hello.subarray(hello.length - 1));
  await waitFor(() => expect(begun).toEqual(accepted));
  const [first] = begun;
  expect(first && readAll(first)).toEqual(hello);
});

test('hundreds of halves begin none, and keep the places of those who are silent', async () => {
  const clients: Socket[] = [];
  for (let n = 0; n < 600; n += 1) {
    const socket = await client();
    socket.write(hello.subarray(0, 100));
    clients.push(socket);
  }
  await waitFor(() => expect(accepted).toHaveLength(600));
  // One address has 512 of them.
  await waitFor(() => expect(accepted.filter(({ destroyed }) => destroyed)).toHaveLength(88));
  const honest = await client();
  honest.write(hello);
  await waitFor(() => expect(begun).toHaveLength(1));
  expect(begun[0]).toBe(accepted.at(-1));
  for (const socket of clients) socket.destroy();
});

test.each([
  ['half of it', (whole: Buffer) => whole.subarray(0, 100)],
  ['nothing', () => Buffer.alloc(0)],
  ['one that is too long', () => Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
])('who says %s and ends is gone', async (_, said) => {
  const socket = await client();
  socket.end(said(hello));
  await waitFor(() => expect(accepted[0]?.destroyed).toBe(true));
  expect(begun).toEqual([]);
});
