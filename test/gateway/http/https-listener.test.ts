import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import { listenHttps } from '../../../src/gateway/http/https-listener.ts';

const ca = createCertificateAuthority();
let directory: string;
let server: Server;
let files: { certFile: string; keyFile: string };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hoop-https-'));
  const issued = issueServerCertificate(ca, { names: [], ips: ['127.0.0.1'] });
  files = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') };
  await writeFile(files.certFile, issued.certificate);
  await writeFile(files.keyFile, issued.privateKey);
  server = await listenHttps({
    listen: { host: '127.0.0.1', port: 0 },
    tls: files,
    onRequest: (_request, response) => response.end('ok'),
    onUpgrade: (_request, socket) => socket.destroy(),
    headersTimeoutMs: 300,
  });
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await rm(directory, { recursive: true });
});

function port(): number {
  return (server.address() as AddressInfo).port;
}

test.each([
  ['nothing', ''],
  ['half a request line', 'GET / HT'],
  ['headers without an end', 'GET / HTTP/1.1\r\nhost: x\r\nx: y'],
])('a client that sends %s over TLS is cut off', async (_what, bytes) => {
  const socket = connect({ port: port(), host: '127.0.0.1', ca: ca.certificate });
  await once(socket, 'secureConnect');
  socket.write(bytes);
  socket.resume();
  await once(socket, 'close');
});

test('a byte now and then does not keep the connection open', async () => {
  const socket = connect({ port: port(), host: '127.0.0.1', ca: ca.certificate });
  await once(socket, 'secureConnect');
  socket.on('error', () => socket.destroy());
  socket.write('GET / HTTP/1.1\r\n');
  const drip = setInterval(() => socket.write('x: y\r\n'), 50);
  socket.resume();
  await once(socket, 'close');
  clearInterval(drip);
});

test('a silent TCP client is cut off before the handshake', async () => {
  const socket = connectTcp(port(), '127.0.0.1');
  socket.resume();
  await once(socket, 'close');
});

test('plain HTTP and TLS before 1.3 are refused', async () => {
  const plain = connectTcp(port(), '127.0.0.1');
  plain.on('error', () => plain.destroy());
  plain.end('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  const old = connect({
    port: port(),
    host: '127.0.0.1',
    ca: ca.certificate,
    maxVersion: 'TLSv1.2',
  });
  const [error] = await once(old, 'error');
  expect(error).toHaveProperty('code', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

test('a taken port, a missing and a broken certificate are configuration errors', async () => {
  const options = {
    tls: files,
    onRequest: () => undefined,
    onUpgrade: () => undefined,
  };
  await expect(
    listenHttps({ ...options, listen: { host: '127.0.0.1', port: port() } }),
  ).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
  const listen = { host: '127.0.0.1', port: 0 };
  await expect(
    listenHttps({ ...options, listen, tls: { ...files, certFile: join(directory, 'none') } }),
  ).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
  await writeFile(files.keyFile, 'not a key');
  await expect(listenHttps({ ...options, listen })).rejects.toMatchObject({ code: 'HOOP_CONFIG' });
});

/** One whose limits of time no busy machine reaches, and the handshakes that its turns began. */
async function openPatient(): Promise<
  Disposable & { readonly at: number; readonly begun: readonly number[] }
> {
  const begun: number[] = [];
  const patient = await listenHttps({
    listen: { host: '127.0.0.1', port: 0 },
    tls: files,
    onRequest: (_request, response) => response.end('ok'),
    onUpgrade: (_request, socket) => socket.destroy(),
    headersTimeoutMs: 60_000,
    onHandshakes: (count) => begun.push(count),
  });
  return {
    at: (patient.address() as AddressInfo).port,
    begun,
    [Symbol.dispose]: () => {
      patient.close();
      patient.closeAllConnections();
    },
  };
}

/** Resolves with what the server says to a request. */
async function ask(at: number): Promise<string> {
  const socket = connect({ port: at, host: '127.0.0.1', ca: ca.certificate });
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let answer = '';
  for await (const part of socket) answer += String(part);
  return answer;
}

test('a hundred clients that come at once are all served, a few handshakes in one turn', async () => {
  using patient = await openPatient();
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(patient.at)));
  expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 200'))).toHaveLength(100);
  expect(patient.begun.reduce((sum, begun) => sum + begun)).toBe(100);
  expect(Math.max(...patient.begun)).toBeLessThanOrEqual(4);
});

test('who says nothing costs no handshake, and gives way to who comes later', async () => {
  using patient = await openPatient();
  const { at, begun } = patient;
  const silent = Array.from({ length: 700 }, () => connectTcp(at, '127.0.0.1'));
  const { promise: made, resolve: roomMade } = Promise.withResolvers<void>();
  const closed: number[] = [];
  for (const [index, socket] of silent.entries()) {
    socket.on('error', () => undefined).resume();
    socket.once('close', () => {
      closed.push(index);
      // One address has 512 places, and the one who speaks needs one, too.
      if (closed.length === 189) roomMade();
    });
  }
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  expect(await ask(at)).toContain('200 OK');
  await made;
  expect(closed.toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 189 }, (_, index) => index),
  );
  expect(begun).toEqual([1]);
  for (const socket of silent) socket.destroy();
});

test('a client whose first bytes come one by one gets its answer', async () => {
  using patient = await openPatient();
  const inner = connectTcp(patient.at, '127.0.0.1');
  await once(inner, 'connect');
  const slow = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      inner.write(chunk.subarray(0, 1));
      setImmediate(() => inner.write(chunk.subarray(1), () => done()));
    },
    final: (done) => inner.end(done),
  });
  inner.on('data', (part) => slow.push(part)).on('end', () => slow.push(null));
  const socket = connect({ socket: slow, ca: ca.certificate, host: '127.0.0.1' });
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toContain('200 OK');
  socket.destroy();
  inner.destroy();
});

test('who closes before its turn, or at once, leaves nothing behind', async () => {
  using patient = await openPatient();
  const sockets = Array.from({ length: 50 }, (_, at) => {
    const socket = connectTcp(patient.at, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.once('connect', () => (at % 2 === 0 ? socket.end() : socket.end('x')));
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
  expect(await ask(patient.at)).toContain('200 OK');
});
