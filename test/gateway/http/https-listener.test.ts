import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
