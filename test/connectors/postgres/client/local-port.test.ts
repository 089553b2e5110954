import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  LocalPort,
  type LocalPortOptions,
} from '../../../../src/connectors/postgres/client/local-port.ts';
import {
  encodePasswordMessage,
  encodeQuery,
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { scramClientFinal } from '../../../../src/connectors/postgres/protocol/scram-client.ts';
import {
  encodeCancelRequest,
  encodeGSSENCRequest,
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { HoopError } from '../../../../src/errors.ts';
import { Secret } from '../../../../src/secret.ts';
import { type ListenOn, LocalListener } from '../../../../src/tunnel/local-listener.ts';
import type { RefusalReason } from '../../../../src/tunnel/local-refusal.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { RawClient } from './raw-client.ts';

/** In the gateway's place: a real server that asks for no password, reached over plain TCP. */
let server: EmbeddedPostgres;
let port: LocalPort;
let tunnels: Socket[];
let refusals: RefusalReason[];
let nextRefusal: PromiseWithResolvers<void>;

const PASSWORD = 'c2Vzc2lvbi1wYXNzd29yZA';

beforeAll(async () => {
  server = await startTestPostgres({ hba: 'host all all 127.0.0.1/32 trust\n' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tunnels = [];
  refusals = [];
  nextRefusal = Promise.withResolvers();
  port = await openLocalPort({
    listen: { type: 'tcp', port: 0 },
    user: 'postgres',
    password: new Secret(PASSWORD),
    openTunnel,
    onRefused: (reason) => {
      refusals.push(reason);
      nextRefusal.resolve();
    },
  });
});
afterEach(async () => {
  await port.close();
});

async function openLocalPort({
  listen,
  ...options
}: Omit<LocalPortOptions, 'listener'> & { readonly listen: ListenOn }): Promise<LocalPort> {
  return new LocalPort({ ...options, listener: await LocalListener.open(listen) });
}

async function openTunnel(): Promise<Socket> {
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  await once(socket, 'connect');
  tunnels.push(socket);
  return socket;
}

function url(password = PASSWORD, user = 'postgres'): string {
  return `postgres://${user}:${password}@127.0.0.1:${port.port}/postgres`;
}

async function psql(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)('psql', ['-X', '-At', ...args], {
    env: { PATH: process.env['PATH'], PGPASSWORD: PASSWORD, PGCONNECT_TIMEOUT: '10' },
  });
}

describe('a client with the password of the session', () => {
  test('psql works, asks for TLS and GSS first, and goes on without', async () => {
    const { stdout } = await psql(
      '-d',
      `host=127.0.0.1 port=${port.port} user=postgres dbname=postgres`,
      '-c',
      'SELECT 6 * 7',
    );
    expect(stdout).toBe('42\n');
    expect(refusals).toEqual([]);
  });

  test('a megabyte goes down and comes back up unchanged', async () => {
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    const text = 'x'.repeat(1_000_000);
    const { rows } = await client.query('SELECT $1::text AS v, length($1) AS n', [text]);
    expect(rows[0]).toEqual({ v: text, n: text.length });
    await client.end();
  });

  test('a large result passes without being kept', async () => {
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    const { rows } = await client.query('SELECT g FROM generate_series(1, 200000) g');
    expect(rows.length).toBe(200_000);
    await client.end();
  });

  test('SSLRequest and GSSENCRequest are each answered N, in either order', async () => {
    for (const order of [
      [encodeSSLRequest(), encodeGSSENCRequest()],
      [encodeGSSENCRequest(), encodeSSLRequest()],
    ]) {
      const client = await RawClient.connect(port.port);
      for (const request of order) {
        client.send(request);
        expect(String(await client.bytes(1))).toBe('N');
      }
      await client.logIn('postgres', PASSWORD);
      client.close();
    }
  });

  test('a repeated SSLRequest is refused', async () => {
    const client = await RawClient.connect(port.port);
    client.send(encodeSSLRequest());
    await client.bytes(1);
    client.send(encodeSSLRequest());
    await client.closed;
    expect(refusals).toEqual(['garbage']);
  });

  test('a login split into single bytes works', async () => {
    const client = await RawClient.connect(port.port);
    client.splitWrites = true;
    await client.logIn('postgres', PASSWORD);
    client.close();
  });

  test('protocol 3.9999 and unknown options are negotiated once, down to 3.2', async () => {
    const client = await RawClient.connect(port.port);
    client.send(
      encodeStartupMessage({
        majorVersion: 3,
        minorVersion: 9999,
        parameters: new Map([
          ['user', 'postgres'],
          ['_pq_.test_protocol_negotiation', 'on'],
          ['database', 'postgres'],
        ]),
      }),
    );
    const negotiated = await client.message();
    expect(String.fromCharCode(negotiated.type)).toBe('v');
    expect(negotiated.body.toString('hex')).toBe(
      `0003000200000001${Buffer.from('_pq_.test_protocol_negotiation\0').toString('hex')}`,
    );
    const types = await client.finishLogin(PASSWORD);
    expect(types.filter((type) => type === 'v')).toEqual([]);
    client.close();
  });

  test('protocol 3.2 needs no negotiation', async () => {
    const client = await RawClient.connect(port.port);
    await client.logIn('postgres', PASSWORD, 2);
    expect(client.seen[0]).toBe('R');
    client.close();
  });

  test('protocol 2.0 is refused in the words of PostgreSQL', async () => {
    const client = await RawClient.connect(port.port);
    client.send(Buffer.from('0000000800020000', 'hex'));
    const error = await client.message();
    expect(error.body.toString()).toContain('unsupported frontend protocol 2.0');
    await client.closed;
    expect(refusals).toEqual(['unsupported protocol version']);
  });

  test('a query can be cancelled with the key of its connection', async () => {
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    const running = client.query('SELECT pg_sleep(3600)');
    const watcher = new pg.Client({ connectionString: server.url() });
    await watcher.connect();
    // A cancel that comes before its query would cancel nothing.
    await expect
      .poll(async () => {
        const { rows } = await watcher.query(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
        );
        return rows[0]?.n;
      })
      .toBe(1);
    await watcher.end();
    const { processID, secretKey } = z(client);
    const canceller = await RawClient.connect(port.port);
    const key = Buffer.alloc(4);
    key.writeInt32BE(secretKey);
    canceller.send(encodeCancelRequest({ processId: processID, secretKey: key }));
    await expect(running).rejects.toMatchObject({ code: '57014' });
    await canceller.closed;
    await client.end();
  });

  test('a cancel with an unknown key never reaches the tunnel', async () => {
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    const before = tunnels.length;
    const canceller = await RawClient.connect(port.port);
    canceller.send(
      encodeCancelRequest({ processId: z(client).processID, secretKey: Buffer.alloc(4) }),
    );
    await canceller.closed;
    expect(tunnels.length).toBe(before);
    expect(refusals).toEqual(['unknown cancel key']);
    await client.end();
  });

  test('a broken tunnel is reported with a FATAL error', async () => {
    const client = new pg.Client({ connectionString: url() });
    const failed = once(client, 'error');
    // The driver reports the end of the connection as a second error.
    client.on('error', () => undefined);
    await client.connect();
    tunnels[0]?.destroy(new HoopError('HOOP_UNREACHABLE', 'the gateway has gone'));
    const [error] = await failed;
    expect(error).toMatchObject({ severity: 'FATAL', code: '08006' });
    expect(String(error.message)).toContain('the gateway has gone');
  });

  test('closing the port tells open connections why', async () => {
    const client = new pg.Client({ connectionString: url() });
    const failed = once(client, 'error');
    // The driver reports the end of the connection as a second error.
    client.on('error', () => undefined);
    await client.connect();
    await port.close(new HoopError('HOOP_SESSION_EXPIRED', 'the session has expired'));
    const [error] = await failed;
    expect(error).toMatchObject({ severity: 'FATAL', code: '57P01' });
  });

  test('a client that does not read holds the tunnel back', async () => {
    const client = await RawClient.connect(port.port);
    await client.logIn('postgres', PASSWORD);
    client.socket.pause();
    client.send(encodeQuery({ sql: "SELECT repeat('x', 1000) FROM generate_series(1, 100000)" }));
    const [tunnel] = tunnels;
    await expect.poll(() => tunnel?.isPaused()).toBe(true);
    const read = tunnel?.bytesRead;
    expect(read).toBeLessThan(32 * 1024 * 1024);
    client.socket.removeAllListeners('data').resume();
    await expect.poll(() => tunnel?.bytesRead).toBeGreaterThan(100_000_000);
    client.close();
  });

  test('messages that follow the login in the same packet are not lost', async () => {
    const client = await RawClient.connect(port.port);
    const { state, serverFirst } = await client.startScram('postgres');
    const final = await scramClientFinal(state, PASSWORD, serverFirst);
    client.send(
      Buffer.concat([
        encodeSASLResponse({ data: Buffer.from(final.message) }),
        encodeQuery({ sql: 'SELECT 42' }),
      ]),
    );
    while (client.seen.filter((type) => type === 'Z').length < 2) {
      await client.message();
    }
    expect(client.seen).toContain('D');
    client.close();
  });

  test('no new connections are accepted while the session ends, open ones go on', async () => {
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    const waiting = await RawClient.connect(port.port);
    port.stopAccepting();
    await waiting.closed;
    await expect(RawClient.connect(port.port)).rejects.toThrow('ECONNREFUSED');
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(refusals).toEqual([]);
    await client.end();
  });

  test('when the client vanishes, the tunnel stream ends', async () => {
    const client = await RawClient.connect(port.port);
    await client.logIn('postgres', PASSWORD);
    const [tunnel] = tunnels;
    client.socket.resetAndDestroy();
    if (tunnel !== undefined && !tunnel.closed) {
      await once(tunnel, 'close');
    }
  });
});

describe('everybody else', () => {
  const refused = async (password: string, user = 'postgres'): Promise<unknown> =>
    new pg.Client({ connectionString: url(password, user) }).connect().then(
      () => undefined,
      (error: unknown) => error,
    );

  test('a wrong password and a wrong user name look the same and open no tunnel', async () => {
    const wrong = await refused('wrong');
    const stranger = await refused(PASSWORD, 'somebody');
    expect(wrong).toMatchObject({ code: '28P01', severity: 'FATAL' });
    expect(stranger).toMatchObject({ code: '28P01', severity: 'FATAL' });
    expect(tunnels).toEqual([]);
    expect(refusals).toEqual(['wrong password', 'wrong password']);
  });

  test('the salt does not tell a right user name from a wrong one', async () => {
    const salts = new Set<string>();
    for (const user of ['postgres', 'somebody']) {
      const client = await RawClient.connect(port.port);
      salts.add((await client.startScram(user)).serverFirst.replace(/^r=[^,]*,/, ''));
      client.close();
    }
    expect(salts.size).toBe(1);
  });

  test('psql without a password is refused and counted', async () => {
    await expect(
      promisify(execFile)('psql', ['-X', '-w', '-c', 'SELECT 1'], {
        env: {
          PATH: process.env['PATH'],
          PGHOST: '127.0.0.1',
          PGPORT: String(port.port),
          PGUSER: 'postgres',
          HOME: '/nonexistent',
        },
      }),
    ).rejects.toThrow('no password supplied');
    await nextRefusal.promise;
    expect(refusals).toEqual(['no password']);
  });

  test.each<[string, Buffer, RefusalReason]>([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'), 'HTTP'],
    ['an HTTP POST', Buffer.from('POST /?x=1 HTTP/1.1\r\n\r\n'), 'HTTP'],
    ['a TLS ClientHello', Buffer.from('1603010200010001fc0303', 'hex'), 'direct TLS'],
    ['a TLS ClientHello of which one byte has come', Buffer.from('16', 'hex'), 'direct TLS'],
    ['a length of 7', Buffer.from('00000007000300', 'hex'), 'garbage'],
    ['a length of 10001', Buffer.from('0000271100030000', 'hex'), 'garbage'],
    ['a negative length', Buffer.from('ffffffff00030000', 'hex'), 'garbage'],
    ['an SSH client', Buffer.from('\0SH-2.0-OpenSSH\r\n'), 'garbage'],
  ])('%s gets no answer at all', async (_title, bytes, reason) => {
    const client = await RawClient.connect(port.port);
    client.send(bytes);
    await client.closed;
    expect(client.received.length).toBe(0);
    expect(refusals).toEqual([reason]);
  });

  test('a StartupMessage that gives the user twice is refused', async () => {
    const client = await RawClient.connect(port.port);
    const body = Buffer.from('\0\u0003\0\0user\0postgres\0user\0other\0\0', 'latin1');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length + 4);
    client.send(Buffer.concat([length, body]));
    expect((await client.message()).body.toString()).toContain('08P01');
    await client.closed;
    expect(refusals).toEqual(['malformed login']);
  });

  test('a password in clear text, where SCRAM was asked for, is refused', async () => {
    const client = await RawClient.connect(port.port);
    client.sendStartup('postgres');
    await client.message();
    client.send(encodePasswordMessage({ password: PASSWORD }));
    expect((await client.message()).body.toString()).toContain('FATAL');
    await client.closed;
    expect(tunnels).toEqual([]);
  });

  test('channel binding, which was not offered, is refused', async () => {
    const client = await RawClient.connect(port.port);
    client.sendStartup('postgres');
    await client.message();
    client.send(
      encodeSASLInitialResponse({
        mechanism: 'SCRAM-SHA-256',
        data: Buffer.from('p=tls-server-end-point,,n=,r=abcdefghijklmnopqr'),
      }),
    );
    expect((await client.message()).body.toString()).toContain('channel binding');
    await client.closed;
    expect(refusals).toEqual(['malformed login']);
  });

  test('a recorded SCRAM exchange is of no use', async () => {
    const first = await RawClient.connect(port.port);
    const { state, serverFirst } = await first.startScram('postgres');
    const final = await scramClientFinal(state, PASSWORD, serverFirst);
    first.send(encodeSASLResponse({ data: Buffer.from(final.message) }));
    await first.message();
    first.close();

    const replay = await RawClient.connect(port.port);
    await replay.startScram('postgres', state.nonce);
    replay.send(encodeSASLResponse({ data: Buffer.from(final.message) }));
    expect((await replay.message()).body.toString()).toContain('08P01');
    await replay.closed;
    expect(refusals).toEqual(['malformed login']);
  });

  test('messages that are larger than a SCRAM message are refused unread', async () => {
    const client = await RawClient.connect(port.port);
    client.sendStartup('postgres');
    await client.message();
    client.send(Buffer.from('70000fffff', 'hex'));
    expect((await client.message()).body.toString()).toContain('08P01');
    await client.closed;
  });

  test('a query before the login is refused', async () => {
    const client = await RawClient.connect(port.port);
    client.sendStartup('postgres');
    await client.message();
    client.send(Buffer.from('Q\0\0\0\u000dSELECT 1\0', 'latin1'));
    expect((await client.message()).body.toString()).toContain('08P01');
    await client.closed;
    expect(tunnels).toEqual([]);
  });

  test('a connection that closes without a word is not counted', async () => {
    const client = await RawClient.connect(port.port);
    client.socket.end();
    await client.closed;
    expect(refusals).toEqual([]);
  });

  test('a client that closes its side in the middle of a startup packet is refused', async () => {
    const client = await RawClient.connect(port.port);
    client.send(Buffer.from('0000', 'hex'));
    client.socket.end();
    await client.closed;
    expect(refusals).toEqual(['garbage']);
  });

  test('200 silent connections do not keep the owner out', async () => {
    const silent = await Promise.all(
      Array.from({ length: 200 }, () => RawClient.connect(port.port)),
    );
    const client = new pg.Client({ connectionString: url() });
    await client.connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    expect(new Set(refusals)).toEqual(new Set(['too many connections']));
    for (const other of silent) {
      other.close();
    }
  });
});

test('a login that is not complete in time is ended, however busy it looks', async () => {
  const reasons: RefusalReason[] = [];
  await using slow = await openLocalPort({
    listen: { type: 'tcp', port: 0 },
    user: 'postgres',
    password: new Secret(PASSWORD),
    openTunnel,
    onRefused: (reason) => reasons.push(reason),
    loginWithinMs: 50,
  });
  const client = await RawClient.connect(slow.port);
  client.send(Buffer.from('0000', 'hex'));
  await client.closed;
  expect(reasons).toEqual(['login timeout']);
});

test('psql comes in through a unix socket, from a directory that only the owner can enter', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-test-'));
  try {
    await using unix = await openLocalPort({
      listen: { type: 'unix', directory },
      user: 'postgres',
      password: new Secret(PASSWORD),
      openTunnel,
    });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, '.s.PGSQL.5432')).mode & 0o777).toBe(0o600);
    const { stdout } = await psql(
      '-d',
      `host=${unix.host} port=${unix.port} user=postgres dbname=postgres requirepeer=${userInfo().username}`,
      '-c',
      'SELECT 6 * 7',
    );
    expect(stdout).toBe('42\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('who connects before there is a session waits for it', async () => {
  const listener = await LocalListener.open({ type: 'tcp', port: 0 });
  const client = new pg.Client({
    connectionString: `postgres://postgres:${PASSWORD}@127.0.0.1:${listener.port}/postgres`,
  });
  const connected = client.connect();
  const silent = await RawClient.connect(listener.port);
  await using _port = new LocalPort({
    listener,
    user: 'postgres',
    password: new Secret(PASSWORD),
    openTunnel,
  });
  await connected;
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  silent.close();
});

test('who waits for a session that does not come is let go', async () => {
  const listener = await LocalListener.open({ type: 'tcp', port: 0 });
  const client = await RawClient.connect(listener.port);
  client.send(Buffer.from('0000', 'hex'));
  // The bytes have arrived, and so has the connection before them.
  await expect.poll(() => listener.waiting).toBe(1);
  listener.close();
  await client.closed;
});

test('a port that is taken is an error, and no other port is used', async () => {
  await expect(
    openLocalPort({
      listen: { type: 'tcp', port: port.port },
      user: 'postgres',
      password: new Secret(PASSWORD),
      openTunnel,
    }),
  ).rejects.toMatchObject({ code: 'HOOP_LOCAL_PORT' });
});

test('a tunnel that cannot be opened gives the client the reason', async () => {
  await using broken = await openLocalPort({
    listen: { type: 'tcp', port: 0 },
    user: 'postgres',
    password: new Secret(PASSWORD),
    openTunnel: () =>
      Promise.reject(new HoopError('HOOP_LIMIT', 'the session has 2 connections already')),
  });
  const client = new pg.Client({
    connectionString: `postgres://postgres:${PASSWORD}@127.0.0.1:${broken.port}/postgres`,
  });
  await expect(client.connect()).rejects.toMatchObject({
    code: '53300',
    message: 'the session has 2 connections already',
  });
});

/** The driver keeps the cancel key where its types do not show it. */
function z(client: pg.Client): { processID: number; secretKey: number } {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  return { processID, secretKey };
}
