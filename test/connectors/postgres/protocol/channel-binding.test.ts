import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createCertificateAuthority,
  issueServerCertificate,
} from '../../../../src/certificates.ts';
import { tlsServerEndPoint } from '../../../../src/connectors/postgres/protocol/channel-binding.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-certificate-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Made by openssl, which knows nothing of how we read it. */
function certificate(...args: string[]): Buffer {
  const out = join(directory, 'made.pem');
  const key = ['-nodes', '-keyout', join(directory, 'key.pem'), '-subj', '/CN=test', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', out, ...args], { stdio: 'pipe' });
  return new X509Certificate(readFileSync(out)).raw;
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const RSA = ['-newkey', 'rsa:2048'];

test.each([
  ['RSA with SHA-256', [...RSA, '-sha256'], 'sha256'],
  ['RSA with SHA-512', [...RSA, '-sha512'], 'sha512'],
  ['RSA with SHA-1, which is too weak and replaced', [...RSA, '-sha1'], 'sha256'],
  ['ECDSA with SHA-256', [...EC, '-sha256'], 'sha256'],
  ['ECDSA with SHA-384', [...EC, '-sha384'], 'sha384'],
])('a certificate signed by %s is hashed by RFC 5929', (_title, args, hash) => {
  const der = certificate(...args);
  expect(tlsServerEndPoint(der)).toEqual(createHash(hash).update(der).digest());
});

test.each([
  ['Ed25519', ['-newkey', 'ed25519']],
  ['RSA-PSS', [...RSA, '-sigopt', 'rsa_padding_mode:pss']],
])('a certificate signed by %s gives no channel binding', (_title, args) => {
  expect(tlsServerEndPoint(certificate(...args))).toBeUndefined();
});

test('a certificate cut anywhere, or with a wrong byte in its frame, gives none and never throws', () => {
  const ca = createCertificateAuthority();
  const made = issueServerCertificate(ca, { names: ['localhost'], ips: [] });
  const der = new X509Certificate(made.certificate).raw;
  expect(tlsServerEndPoint(der)).toBeDefined();
  for (let length = 0; length < der.length; length += 1) {
    expect(tlsServerEndPoint(der.subarray(0, length))).toBeUndefined();
  }
  for (const byte of [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff]) {
    for (let at = 0; at < 8; at += 1) {
      const broken = Buffer.from(der);
      if (broken[at] !== byte) {
        broken[at] = byte;
        tlsServerEndPoint(broken);
      }
    }
  }
  expect(tlsServerEndPoint(Buffer.from('3080', 'hex'))).toBeUndefined();
});
