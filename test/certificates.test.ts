import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import {
  createCertificateAuthority,
  type IssuedCertificate,
  issueServerCertificate,
} from '../src/certificates.ts';

const LOOPBACK = { names: ['localhost', 'gateway.test'], ips: ['127.0.0.1', '::1'] };

test('a certificate carries its names and addresses and is signed by its CA', () => {
  const ca = createCertificateAuthority({ name: 'test CA' });
  const parsedCa = new X509Certificate(ca.certificate);
  const leaf = new X509Certificate(issueServerCertificate(ca, LOOPBACK).certificate);
  expect(parsedCa.ca).toBe(true);
  expect(parsedCa.verify(parsedCa.publicKey)).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(leaf.verify(parsedCa.publicKey)).toBe(true);
  expect(leaf.checkIssued(parsedCa)).toBe(true);
  expect(leaf.checkHost('gateway.test')).toBe('gateway.test');
  expect(leaf.checkHost('other.test')).toBeUndefined();
  expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(leaf.checkIP('::1')).toBe('::1');
});

test('node:tls accepts it by name and by address, and refuses another CA', async () => {
  const ca = createCertificateAuthority();
  const issued = issueServerCertificate(ca, LOOPBACK);
  await using server = await listen(issued);
  await handshake({ port: server.port, host: '127.0.0.1', ca: ca.certificate });
  await handshake({
    port: server.port,
    host: '127.0.0.1',
    ca: ca.certificate,
    servername: 'localhost',
  });
  await expect(
    handshake({
      port: server.port,
      host: '127.0.0.1',
      ca: createCertificateAuthority().certificate,
    }),
  ).rejects.toThrow();
});

test('openssl verifies the chain, with strict checks and for a server', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'hoop-cert-'));
  try {
    const ca = createCertificateAuthority({ days: 365 * 40 });
    const issued = issueServerCertificate(ca, LOOPBACK);
    await writeFile(join(directory, 'ca.pem'), ca.certificate);
    await writeFile(join(directory, 'leaf.pem'), issued.certificate);
    const { stdout } = await promisify(execFile)(
      'openssl',
      [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        'localhost',
        '-CAfile',
        'ca.pem',
        'leaf.pem',
      ],
      { cwd: directory },
    );
    expect(stdout).toContain('leaf.pem: OK');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('something that is not an address is refused', () => {
  const ca = createCertificateAuthority();
  expect(() => issueServerCertificate(ca, { names: [], ips: ['300.1.1.1'] })).toThrow(RangeError);
  expect(() => issueServerCertificate(ca, { names: [], ips: [] })).toThrow(TypeError);
});

async function listen(issued: IssuedCertificate) {
  const server = createServer({ cert: issued.certificate, key: issued.privateKey }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

async function handshake(options: {
  port: number;
  host: string;
  ca: string;
  servername?: string;
}): Promise<void> {
  const socket: TLSSocket = connect(options);
  try {
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
  } finally {
    socket.destroy();
  }
}
