import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../../../src/certificates.ts';
import { LocalTls } from '../../../../src/connectors/postgres/client/local-tls.ts';
import {
  encodeQuery,
  encodeSASLInitialResponse,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  encodeCancelRequest,
  encodeGSSENCRequest,
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { localBench, PASSWORD, USER } from './local-bench.ts';
import { RawClient } from './raw-client.ts';

const open = localBench();
const tls = new LocalTls(Date.now() + 60_000);
let directory: string;
let caFile: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-local-tls-'));
  caFile = join(directory, 'ca.pem');
  writeFileSync(caFile, tls.ca);
});
afterAll(() => rmSync(directory, { recursive: true }));

function psql(port: number, settings: string): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(
    'psql',
    ['-X', '-At', '-d', `port=${port} user=${USER} dbname=postgres ${settings}`, '-c', 'SELECT 42'],
    { env: { PATH: process.env['PATH'], PGPASSWORD: PASSWORD, PGCONNECT_TIMEOUT: '10' } },
  );
}

/** Asks for TLS as libpq does, and begins it. */
async function secured(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
  const raw = await RawClient.connect(port);
  raw.send(encodeSSLRequest());
  expect(String(await raw.bytes(1))).toBe('S');
  raw.socket.removeAllListeners('data');
  return await overTls({ socket: raw.socket, ...options });
}

async function overTls(options: ConnectionOptions): Promise<RawClient> {
  const socket: TLSSocket = connectTls({ ca: tls.ca, servername: 'localhost', ...options });
  await once(socket, 'secureConnect');
  return new RawClient(socket);
}

describe('psql', () => {
  test.each([
    ['verify-full by address', 'host=127.0.0.1 sslmode=verify-full'],
    [
      'verify-full by name, as libpq before 15 has to',
      'host=localhost hostaddr=127.0.0.1 sslmode=verify-full',
    ],
    ['what it does by default', 'host=127.0.0.1'],
    ['channel binding', 'host=127.0.0.1 sslmode=verify-full channel_binding=require'],
    ['no channel binding', 'host=127.0.0.1 sslmode=verify-full channel_binding=disable'],
  ])('comes in with %s', async (_title, settings) => {
    await using bench = await open({ tls });
    const { stdout } = await psql(bench.port.port, `${settings} sslrootcert=${caFile}`);
    expect(stdout).toBe('42\n');
    expect(bench.refusals).toEqual([]);
  });

  test('does not come in without TLS, and is told how to', async () => {
    await using bench = await open({ tls });
    await expect(psql(bench.port.port, 'host=127.0.0.1 sslmode=disable')).rejects.toThrow(
      /this port accepts only TLS connections[\s\S]*sslmode=verify-full/,
    );
    expect(bench.refusals).toEqual(['no TLS']);
  });

  test('that trusts another CA goes away: each session has its own', async () => {
    await using bench = await open({ tls });
    const other = join(directory, 'other.pem');
    writeFileSync(other, new LocalTls(Date.now()).ca);
    await expect(
      psql(bench.port.port, `host=127.0.0.1 sslmode=verify-full sslrootcert=${other}`),
    ).rejects.toThrow('certificate verify failed');
    expect(bench.refusals).toEqual(['failed TLS handshake']);
  });
});

test('the certificate is for this machine alone and ends soon after its session', () => {
  const until = Date.now() + 3 * 3_600_000;
  const ca = new X509Certificate(new LocalTls(until).ca);
  expect(ca.validToDate.getTime()).toBeGreaterThan(until);
  expect(ca.validToDate.getTime()).toBeLessThan(until + 2 * 3_600_000);
  expect(new X509Certificate(new LocalTls(0).ca).validToDate.getTime()).toBeGreaterThan(Date.now());
});

test('node-postgres binds its password to the certificate', async () => {
  await using bench = await open({ tls });
  const client = new pg.Client({
    host: '127.0.0.1',
    port: bench.port.port,
    user: USER,
    password: PASSWORD,
    database: 'postgres',
    ssl: { ca: tls.ca },
    enableChannelBinding: true,
  });
  await client.connect();
  const text = 'x'.repeat(1_000_000);
  expect((await client.query('SELECT $1::text AS v', [text])).rows).toEqual([{ v: text }]);
  await client.end();
});

describe('SCRAM under TLS', () => {
  async function startup(port: number): Promise<RawClient> {
    const client = await secured(port);
    client.sendStartup(USER);
    const { body } = await client.message();
    expect(body.subarray(4).toString('latin1')).toBe('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0');
    return client;
  }

  test.each([
    [
      '"y": somebody took -PLUS out of the offer',
      'SCRAM-SHA-256',
      'y,,n=,r=abcdefghijk',
      'negotiated away',
    ],
    [
      '-PLUS without binding',
      'SCRAM-SHA-256-PLUS',
      'n,,n=,r=abcdefghijk',
      'without channel binding',
    ],
    [
      'another type of binding',
      'SCRAM-SHA-256-PLUS',
      'p=tls-unique,,n=,r=abcdefghijk',
      'not supported',
    ],
    [
      'binding without -PLUS',
      'SCRAM-SHA-256',
      'p=tls-server-end-point,,n=,r=abcdefghijk',
      'channel binding',
    ],
  ])('%s is refused', async (_title, mechanism, clientFirst, message) => {
    await using bench = await open({ tls });
    const client = await startup(bench.port.port);
    client.send(encodeSASLInitialResponse({ mechanism, data: Buffer.from(clientFirst) }));
    expect((await client.message()).body.toString()).toContain(message);
    await client.closed;
    expect(bench.refusals).toEqual(['malformed login']);
    expect(bench.tunnels).toEqual([]);
  });

  test('the binding to another certificate is refused, though the password is right', async () => {
    await using bench = await open({ tls });
    const client = await secured(bench.port.port);
    client.sendStartup(USER);
    const wrong = { flag: 'p', data: Buffer.alloc(32, 1) } as const;
    await expect(client.finishLogin(PASSWORD, wrong)).rejects.toThrow('closed');
    expect(bench.refusals).toEqual(['malformed login']);
  });

  test('-PLUS without TLS is not offered and not taken', async () => {
    await using bench = await open();
    const client = await RawClient.connect(bench.port.port);
    client.sendStartup(USER);
    expect((await client.message()).body.toString('latin1')).not.toContain('PLUS');
    client.send(
      encodeSASLInitialResponse({
        mechanism: 'SCRAM-SHA-256-PLUS',
        data: Buffer.from('p=tls-server-end-point,,n=,r=abcdefghijk'),
      }),
    );
    expect((await client.message()).body.toString()).toContain('invalid SASL');
    await client.closed;
  });
});

describe('what comes behind SSLRequest in the clear', () => {
  const startup = encodeStartupMessage({
    majorVersion: 3,
    minorVersion: 0,
    parameters: new Map([['user', USER]]),
  });

  test('is refused with TLS and without, whatever it is (CVE-2021-23214)', async () => {
    for (const options of [{ tls }, {}]) {
      await using bench = await open(options);
      for (const more of [startup, Buffer.of(0x16), Buffer.of(0), encodeSSLRequest()]) {
        const client = await RawClient.connect(bench.port.port);
        client.send(Buffer.concat([encodeSSLRequest(), more]));
        expect((await client.message()).body.toString()).toContain(
          'received unencrypted data after SSL request',
        );
        await client.closed;
      }
      expect(new Set(bench.refusals)).toEqual(new Set(['data before TLS']));
      expect(bench.tunnels).toEqual([]);
    }
  });

  test('a little later it is no TLS handshake', async () => {
    await using bench = await open({ tls });
    const client = await RawClient.connect(bench.port.port);
    client.send(encodeSSLRequest());
    await client.bytes(1);
    client.send(startup);
    await client.closed;
    expect(bench.refusals).toEqual(['failed TLS handshake']);
  });
});

test('GSSENCRequest is answered N before TLS, and nothing is asked within it', async () => {
  await using bench = await open({ tls });
  const client = await RawClient.connect(bench.port.port);
  client.send(encodeGSSENCRequest());
  expect(String(await client.bytes(1))).toBe('N');
  client.send(encodeSSLRequest());
  expect(String(await client.bytes(1))).toBe('S');
  client.socket.removeAllListeners('data');
  const inner = await overTls({ socket: client.socket });
  await inner.logIn(USER, PASSWORD);
  inner.close();
  for (const request of [encodeSSLRequest(), encodeGSSENCRequest()]) {
    const again = await secured(bench.port.port);
    again.send(request);
    await again.closed;
    expect(again.received.length).toBe(0);
  }
  expect(bench.refusals).toEqual(['garbage', 'garbage']);
});

describe('direct TLS', () => {
  test('with ALPN "postgresql" is taken', async () => {
    await using bench = await open({ tls });
    const host = { host: '127.0.0.1', port: bench.port.port };
    const client = await overTls({ ...host, ALPNProtocols: ['postgresql'] });
    await client.logIn(USER, PASSWORD);
    client.close();
    expect(bench.refusals).toEqual([]);
  });

  test('without ALPN, as a browser can be made to do, is refused without a word', async () => {
    await using bench = await open({ tls });
    const client = await overTls({ host: '127.0.0.1', port: bench.port.port });
    client.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await client.closed;
    expect(client.received.length).toBe(0);
    expect(bench.refusals).toEqual(['direct TLS']);
  });

  test('with ALPN of another protocol is refused, also after SSLRequest', async () => {
    await using bench = await open({ tls });
    const ALPNProtocols = ['h2', 'http/1.1'];
    const host = { host: '127.0.0.1', port: bench.port.port };
    await expect(overTls({ ...host, ALPNProtocols })).rejects.toThrow();
    await expect(secured(bench.port.port, { ALPNProtocols })).rejects.toThrow();
    await expect.poll(() => bench.refusals.length).toBe(2);
  });

  test('on a port without TLS is refused', async () => {
    await using bench = await open();
    const host = { host: '127.0.0.1', port: bench.port.port };
    await expect(overTls({ ...host, ALPNProtocols: ['postgresql'] })).rejects.toThrow();
    expect(bench.refusals).toEqual(['direct TLS']);
  });
});

test('TLS 1.1 and a certificate of the client do not matter: the password does', async () => {
  await using bench = await open({ tls });
  await expect(
    secured(bench.port.port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }),
  ).rejects.toThrow();
  const ca = createCertificateAuthority();
  const client = await secured(bench.port.port, {
    cert: ca.certificate,
    key: ca.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  });
  client.sendStartup(USER);
  expect(String.fromCharCode((await client.message()).type)).toBe('R');
  client.close();
});

test('a cancel comes without TLS, as the older call of libpq sends it', async () => {
  await using bench = await open({ tls });
  const client = await secured(bench.port.port);
  client.sendStartup(USER);
  const key = await client.keyOf(PASSWORD);
  client.send(encodeQuery({ sql: 'SELECT pg_sleep(3600)' }));
  // One that comes before its query cancels nothing.
  const answer = client.message();
  let isOver = false;
  void answer.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const canceller = await RawClient.connect(bench.port.port);
    canceller.send(encodeCancelRequest(key));
    await canceller.closed;
  }
  const seen = [await answer];
  while (!seen.some(({ type }) => String.fromCharCode(type) === 'E')) {
    seen.push(await client.message());
  }
  expect(seen.at(-1)?.body.toString()).toContain('57014');
  client.close();
});

test('a handshake that stops half-way is ended with the time for the login', async () => {
  await using bench = await open({ tls, loginWithinMs: 100 });
  const client = await RawClient.connect(bench.port.port);
  client.send(encodeSSLRequest());
  await client.bytes(1);
  client.send(Buffer.from('1603010200', 'hex'));
  await client.closed;
  expect(bench.refusals).toEqual(['login timeout']);
});

test('a refusal is told through TLS, and so is the end of the session', async () => {
  await using bench = await open({ tls });
  const wrong = await secured(bench.port.port);
  wrong.sendStartup('somebody');
  await expect(wrong.finishLogin(PASSWORD)).rejects.toThrow();
  expect(wrong.seen.at(-1)).toBe('E');
  const client = await secured(bench.port.port);
  await client.logIn(USER, PASSWORD);
  await bench.port.close();
  expect((await client.message()).body.toString()).toContain('57P01');
  await client.closed;
});

test('a client that vanishes within TLS ends its tunnel', async () => {
  await using bench = await open({ tls });
  const client = await secured(bench.port.port);
  await client.logIn(USER, PASSWORD);
  client.close();
  await expect.poll(() => bench.tunnels[0]?.closed).toBe(true);
});
