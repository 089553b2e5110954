import { once } from 'node:events';
import { chownSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  TLSSocket,
} from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createCertificateAuthority,
  issueClientCertificate,
  issueServerCertificate,
} from '../../../../src/certificates.ts';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import type { PostgresTarget } from '../../../../src/connectors/postgres/gateway/types.ts';
import {
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { HoopError } from '../../../../src/errors.ts';
import { Secret } from '../../../../src/secret.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { startBench } from './engine-bench.ts';
import { query, RawClient, rows } from './raw-client.ts';
import { hostAt, targetOf } from './test-target.ts';

const ca = createCertificateAuthority();
const otherCa = createCertificateAuthority({ name: 'other' });
let server: EmbeddedPostgres;

beforeAll(async () => {
  // The name is localhost alone, so that 127.0.0.1 is a host that the certificate does not name.
  const { certificate, privateKey } = issueServerCertificate(ca, { names: ['localhost'], ips: [] });
  server = await startTestPostgres({
    hba: [
      'host all md5_user 127.0.0.1/32 md5',
      'hostssl all clear_user 127.0.0.1/32 password',
      'hostnossl all clear_user 127.0.0.1/32 password',
      'host all trusted 127.0.0.1/32 trust',
      'hostssl all by_certificate 127.0.0.1/32 cert',
      'hostnossl all plain_only 127.0.0.1/32 trust',
      'hostssl all tls_only 127.0.0.1/32 scram-sha-256',
      'host all postgres 127.0.0.1/32 scram-sha-256',
      'host all postgres ::1/128 scram-sha-256',
    ].join('\n'),
    settings: { password_encryption: 'scram-sha-256' },
  });
  writeFileSync(join(server.dataDirectory, 'server.crt'), certificate);
  writeFileSync(join(server.dataDirectory, 'server.key'), privateKey, { mode: 0o600 });
  writeFileSync(join(server.dataDirectory, 'root.crt'), ca.certificate);
  const { uid, gid } = statSync(server.dataDirectory);
  for (const file of ['server.crt', 'server.key', 'root.crt']) {
    chownSync(join(server.dataDirectory, file), uid, gid);
  }
  await using admin = await connectTarget({
    target: target(),
    signal: new AbortController().signal,
  });
  for (const sql of [
    "SET password_encryption = 'md5'",
    "CREATE ROLE md5_user LOGIN PASSWORD 'md5-pw'",
    'RESET password_encryption',
    "CREATE ROLE clear_user LOGIN PASSWORD 'clear-pw'",
    "CREATE ROLE tls_only LOGIN PASSWORD 'tls-pw'",
    'CREATE ROLE trusted LOGIN',
    'CREATE ROLE by_certificate LOGIN',
    'CREATE ROLE plain_only LOGIN',
    "ALTER SYSTEM SET ssl_ca_file = 'root.crt'",
    'ALTER SYSTEM SET ssl = on',
    'SELECT pg_reload_conf()',
  ]) {
    await admin.query(sql);
  }
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const OK = Buffer.from('520000000800000000', 'hex');
const READY = Buffer.from('5a0000000549', 'hex');
const SASL = Buffer.from('52000000170000000a534352414d2d5348412d3235360000', 'hex');
const PLUS = Buffer.from('R\0\0\0\u001c\0\0\0\u000aSCRAM-SHA-256-PLUS\0\0', 'latin1');
const CLEAR = Buffer.from('520000000800000003', 'hex');
const MD5 = Buffer.from('520000000c0000000501020304', 'hex');

interface Changes extends Partial<PostgresTarget['tls']> {
  readonly user?: string;
  readonly password?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
  readonly methods?: PostgresTarget['methods'];
  readonly clientCertificate?: PostgresTarget['clientCertificate'];
}

function target(changes: Changes = {}): PostgresTarget {
  const { user, password, host, port, database, methods, clientCertificate, ...tls } = changes;
  const plain = targetOf(server, { connectTimeoutMs: 3000 });
  return {
    ...plain,
    hosts: [hostAt(port ?? server.port, host)],
    user: user ?? plain.user,
    password: password === undefined ? plain.password : new Secret(password),
    database: database ?? plain.database,
    methods: methods ?? plain.methods,
    clientCertificate,
    tls: { ...plain.tls, ...tls },
  };
}

async function whoAmI(changes: Changes): Promise<readonly (string | null)[] | undefined> {
  const row = await rowOf(changes);
  return row?.slice(0, 2);
}

async function rowOf(changes: Changes): Promise<readonly (string | null)[] | undefined> {
  await using connection = await connectTarget({
    target: target(changes),
    signal: new AbortController().signal,
  });
  const [row] = await connection.query(
    'SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  );
  return row === undefined ? undefined : [...row, connection.tls ? 't' : 'f'];
}

/** Ends TLS with a certificate of his own and passes the bytes on through TLS to the server. */
async function manInTheMiddle(
  port: number,
  change: (bytes: Buffer) => Buffer = (bytes) => bytes,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const forged = issueServerCertificate(otherCa, { names: ['localhost'], ips: ['127.0.0.1'] });
  const secureContext = createSecureContext({ cert: forged.certificate, key: forged.privateKey });
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    sockets.add(near.on('error', () => undefined));
    near.once('data', async () => {
      const far = connect({ host: '127.0.0.1', port });
      sockets.add(far);
      far.write(encodeSSLRequest());
      await once(far, 'data');
      const upstream = connectTls({ socket: far, rejectUnauthorized: false });
      near.write('S');
      const downstream = new TLSSocket(near, { isServer: true, secureContext });
      for (const end of [upstream, downstream]) end.on('error', () => undefined);
      upstream.on('data', (bytes) => downstream.write(change(bytes)));
      downstream.on('data', (bytes) => upstream.write(bytes));
      upstream.on('close', () => downstream.destroy());
      downstream.on('close', () => upstream.destroy());
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    // A server that listens on TCP has an address with a port.
    port: (proxy.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

describe('TLS', () => {
  test.each([
    ['disable', undefined, '127.0.0.1', 'f'],
    ['allow', undefined, '127.0.0.1', 'f'],
    ['prefer', undefined, '127.0.0.1', 't'],
    ['require', undefined, '127.0.0.1', 't'],
    ['require', ca.certificate, '127.0.0.1', 't'],
    ['verify-ca', ca.certificate, '127.0.0.1', 't'],
    ['verify-full', ca.certificate, 'localhost', 't'],
  ] as const)('%s connects where it should (%#)', async (mode, caText, host, ssl) => {
    const row = await whoAmI({ mode, host, ...(caText === undefined ? {} : { ca: caText }) });
    expect(row).toEqual(['postgres', ssl]);
  });

  test.each([
    ['require', otherCa.certificate, '127.0.0.1'],
    ['verify-ca', otherCa.certificate, '127.0.0.1'],
    ['verify-ca', undefined, '127.0.0.1'],
    ['verify-full', ca.certificate, '127.0.0.1'],
  ] as const)('%s refuses what it cannot trust (%#)', async (mode, caText, host) => {
    const failed = whoAmI({ mode, host, ...(caText === undefined ? {} : { ca: caText }) });
    await expect(failed).rejects.toMatchObject({ code: 'HOOP_TARGET_TLS' });
  });

  test('require refuses a server without TLS, prefer goes on', async () => {
    await using plain = await startTestPostgres();
    const changes = { port: plain.port, password: plain.password };
    await expect(whoAmI({ ...changes, mode: 'require' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_TLS',
    });
    expect(await whoAmI({ ...changes, mode: 'prefer' })).toEqual(['postgres', 'f']);
  });
});

describe('TLS where pg_hba.conf takes a user one way only', () => {
  test('allow goes on with TLS, prefer goes on without', async () => {
    const tlsOnly = { user: 'tls_only', password: 'tls-pw' };
    expect(await whoAmI({ ...tlsOnly, mode: 'allow' })).toEqual(['tls_only', 't']);
    expect(await whoAmI({ ...tlsOnly, mode: 'prefer' })).toEqual(['tls_only', 't']);
    expect(await whoAmI({ user: 'plain_only', mode: 'prefer' })).toEqual(['plain_only', 'f']);
  });

  test.each([
    ['tls_only', 'disable'],
    ['plain_only', 'require'],
  ] as const)('%s is refused with %s', async (user, mode) => {
    await expect(whoAmI({ user, password: 'tls-pw', mode })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining('28000'),
    });
  });

  test('a wrong password is not tried again without TLS', async () => {
    const before = server.log().match(/password authentication failed/g)?.length ?? 0;
    await expect(whoAmI({ password: 'wrong-pw' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
    });
    await expect
      .poll(() => server.log().match(/password authentication failed/g)?.length ?? 0)
      .toBe(before + 1);
  });
});

describe('direct TLS', () => {
  const direct = { negotiation: 'direct', ca: ca.certificate, host: 'localhost' } as const;

  test('is taken by PostgreSQL 18, with the name it has for its protocol', async () => {
    expect(await whoAmI({ ...direct, mode: 'verify-full' })).toEqual(['postgres', 't']);
  });

  test('to a server of another protocol is refused, whatever its certificate', async () => {
    const { certificate: cert, privateKey: key } = issueServerCertificate(ca, {
      names: ['localhost'],
      ips: [],
    });
    const web = createTlsServer({ cert, key, ALPNProtocols: ['http/1.1', 'h2'] });
    const silent = createTlsServer({ cert, key });
    for (const other of [web, silent]) {
      other.on('tlsClientError', () => undefined);
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      const { port } = other.address() as AddressInfo;
      await expect(whoAmI({ ...direct, mode: 'verify-full', port })).rejects.toMatchObject({
        code: 'HOOP_TARGET_TLS',
      });
      other.close();
    }
  });
});

describe('a client certificate', () => {
  const issued = issueClientCertificate(ca, 'by_certificate');
  const own = { certificate: issued.certificate, privateKey: new Secret(issued.privateKey) };

  test('is all that `cert` asks for', async () => {
    expect(await whoAmI({ user: 'by_certificate', clientCertificate: own })).toEqual([
      'by_certificate',
      't',
    ]);
  });

  test('of another CA is refused, and so is none', async () => {
    const forged = issueClientCertificate(otherCa, 'by_certificate');
    const clientCertificate = {
      certificate: forged.certificate,
      privateKey: new Secret(forged.privateKey),
    };
    await expect(
      whoAmI({ user: 'by_certificate', clientCertificate, mode: 'require' }),
    ).rejects.toMatchObject({
      // By the alert, or, where that is lost, by the end of the connection.
      code: expect.stringMatching(/^HOOP_TARGET_(TLS|UNREACHABLE)$/),
      detail: expect.stringMatching(/trust the gateway’s certificate/),
    });
    await expect(whoAmI({ user: 'by_certificate', mode: 'require' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining('28000'),
    });
  });

  test('of another role is refused without naming either', async () => {
    const error = await whoAmI({ clientCertificate: own, user: 'trusted' })
      .then(() => whoAmI({ user: 'by_certificate', clientCertificate: undefined }))
      .catch((reason: unknown) => reason);
    expect(JSON.stringify(error)).not.toContain('by_certificate');
  });
});

describe('SCRAM with channel binding', () => {
  test('is used with TLS, and can be demanded', async () => {
    expect(await whoAmI({ channelBinding: 'require', mode: 'require' })).toEqual(['postgres', 't']);
    expect(await whoAmI({ channelBinding: 'disable', mode: 'require' })).toEqual(['postgres', 't']);
  });

  test.each([
    ['md5', { user: 'md5_user', password: 'md5-pw' }],
    ['the password in clear', { user: 'clear_user', password: 'clear-pw' }],
    ['nothing', { user: 'trusted' }],
  ])('is not replaced by a server that asks for %s, where it is demanded', async (_what, who) => {
    await expect(
      whoAmI({ ...who, channelBinding: 'require', mode: 'require' }),
    ).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining('without channel binding'),
    });
  });

  test('somebody in between, who ends TLS with a certificate of his own, gets nothing', async () => {
    // mode require without a CA: the certificate alone would not give him away.
    await using between = await manInTheMiddle(server.port);
    const there = { port: between.port, mode: 'require' } as const;
    await expect(whoAmI(there)).rejects.toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
    await expect(whoAmI({ ...there, channelBinding: 'require' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
    });
    // Only who switches it off is deceived.
    expect((await rowOf({ ...there, channelBinding: 'disable' }))?.[0]).toBe('postgres');
  });

  test('nor if he takes -PLUS out of the offer: the server sees it', async () => {
    await using between = await manInTheMiddle(server.port, (bytes) => {
      const text = bytes.toString('latin1');
      const offer = 'SCRAM-SHA-256-PLUS\0';
      return text.includes(offer)
        ? Buffer.from('R\0\0\0\u0017\0\0\0\u000aSCRAM-SHA-256\0\0', 'latin1')
        : bytes;
    });
    const failed = whoAmI({ port: between.port, mode: 'require' });
    await expect(failed).rejects.toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
  });
});

describe('what the server may ask for', () => {
  test.each([
    ['md5', { user: 'md5_user', password: 'md5-pw' }],
    ['password', { user: 'clear_user', password: 'clear-pw' }],
    ['none', { user: 'trusted' }],
    ['scram-sha-256', {}],
  ] as const)('%s can be forbidden, and then nothing is sent', async (method, who) => {
    const all = ['scram-sha-256', 'md5', 'password', 'none'] as const;
    const methods = all.filter((other) => other !== method);
    await expect(whoAmI({ ...who, methods, mode: 'require' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining('requireAuth'),
    });
    await expect(whoAmI({ ...who, methods: [method], mode: 'require' })).resolves.toBeDefined();
  });

  test('clear text without TLS only where the policy says so', async () => {
    const who = { user: 'clear_user', password: 'clear-pw', mode: 'disable' } as const;
    await expect(whoAmI(who)).rejects.toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
    expect(await whoAmI({ ...who, methods: ['password-without-tls'] })).toEqual([
      'clear_user',
      'f',
    ]);
  });
});

describe('authentication', () => {
  test('by MD5, by clear text under TLS, and by trust', async () => {
    expect((await whoAmI({ user: 'md5_user', password: 'md5-pw' }))?.[0]).toBe('md5_user');
    expect((await whoAmI({ user: 'clear_user', password: 'clear-pw' }))?.[0]).toBe('clear_user');
    expect((await whoAmI({ user: 'trusted' }))?.[0]).toBe('trusted');
  });

  test('by clear text without TLS is refused before the password is sent', async () => {
    const failed = whoAmI({ user: 'clear_user', password: 'clear-pw', mode: 'disable' });
    await expect(failed).rejects.toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
  });

  test('with a wrong password names the target and its SQLSTATE, and no credential', async () => {
    const failed = whoAmI({ password: 'wrong-pw' });
    await expect(failed).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      message: 'cannot log in to target "test-db"',
      detail: `127.0.0.1:${server.port}: The server did not accept the credential. (SQLSTATE 28P01)`,
    });
    const text = JSON.stringify(await failed.catch((error: unknown) => error));
    expect(text).not.toContain('wrong-pw');
    expect(text).not.toContain('postgres');
  });

  test('to a database that is not there', async () => {
    await expect(whoAmI({ database: 'nowhere' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining(
        'The database does not exist on the server. (SQLSTATE 3D000)',
      ),
    });
  });
});

describe('a server that is no server', () => {
  async function withServer(answer: (socket: Socket) => void, changes: Changes): Promise<unknown> {
    const fake = createServer(answer);
    fake.listen(0, '127.0.0.1');
    await once(fake, 'listening');
    // A server that listens on TCP has an address with a port.
    const { port } = fake.address() as AddressInfo;
    try {
      return await connectTarget({
        target: { ...target({ ...changes, port }), connectTimeoutMs: 300 },
        signal: new AbortController().signal,
      }).catch((error: unknown) => error);
    } finally {
      fake.close();
    }
  }

  test('that says nothing is given up on in time', async () => {
    const sockets: Socket[] = [];
    const error = await withServer((socket) => sockets.push(socket), {});
    expect(error).toMatchObject({ code: 'HOOP_TARGET_UNREACHABLE' });
    for (const socket of sockets) socket.destroy();
  });

  test('that sends data in the clear before TLS begins is refused (CVE-2021-23222)', async () => {
    const error = await withServer(
      (socket) => socket.once('data', () => socket.write('SR\0\0\0\b\0\0\0\0')),
      { mode: 'require' },
    );
    expect(error).toMatchObject({ code: 'HOOP_TARGET_TLS' });
  });

  test('that closes at once', async () => {
    const error = await withServer((socket) => socket.end(), { mode: 'disable' });
    expect(error).toMatchObject({ code: 'HOOP_TARGET_UNREACHABLE' });
  });

  test('that speaks HTTP', async () => {
    const error = await withServer(
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      { mode: 'disable' },
    );
    expect(error).toMatchObject({ code: 'HOOP_TARGET_UNREACHABLE' });
  });

  test('that skips the proof of SCRAM is not logged in to', async () => {
    const error = await withServer(
      (socket) => {
        socket.once('data', () => {
          socket.write(SASL);
          socket.once('data', () => socket.write(Buffer.concat([OK, READY])));
        });
      },
      { mode: 'disable' },
    );
    expect(error).toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
  });
});

describe('a server that is after the password', () => {
  test.each([
    ['asks in clear after SCRAM has begun', [SASL, CLEAR]],
    ['asks in clear after MD5', [MD5, CLEAR]],
    ['asks twice in MD5, with a salt of its choice each time', [MD5, MD5]],
    ['asks again after it has let us in', [OK, MD5]],
    ['sends SCRAM in the middle', [Buffer.from('520000000c0000000b61626364', 'hex')]],
    ['ends SCRAM before it began', [Buffer.from('520000000c0000000c61626364', 'hex')]],
    ['lets us in and out of SCRAM', [SASL, OK, READY]],
    ['reports settings before the login', [Buffer.from('530000000861006200', 'hex')]],
    ['is ready before the login', [READY]],
    [
      'offers only a mechanism that nobody knows',
      [Buffer.from('520000000c0000000a58000000', 'hex')],
    ],
    ['asks for GSS', [Buffer.from('520000000800000007', 'hex')]],
    ['asks for something new', [Buffer.from('520000000800000063', 'hex')]],
    ['offers channel binding without TLS', [PLUS]],
  ])('%s', async (_title, messages) => {
    const heard: Buffer[] = [];
    const fake = createServer((socket) => {
      let turn = 0;
      socket
        .on('error', () => undefined)
        .on('data', (bytes: Buffer) => {
          heard.push(bytes);
          const message = messages[turn];
          turn += 1;
          if (message === undefined) socket.destroy();
          else socket.write(message);
          // AuthenticationOk gets no answer: what comes after it comes at once.
          if (message === OK && messages[turn] !== undefined) socket.write(messages[turn] ?? OK);
        });
    });
    fake.listen(0, '127.0.0.1');
    await once(fake, 'listening');
    const { port } = fake.address() as AddressInfo;
    const methods = ['scram-sha-256', 'md5', 'password-without-tls', 'none'] as const;
    await expect(
      whoAmI({ port, mode: 'disable', methods, password: 'my-password' }),
    ).rejects.toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
    expect(Buffer.concat(heard).toString('latin1')).not.toContain('my-password');
    fake.close();
  });
});

describe('the bytes of a server', () => {
  /** What the server says to `user`, each byte by itself; and all of it. */
  async function bytewise(heard: Buffer[]): Promise<{ readonly port: number } & AsyncDisposable> {
    const sockets = new Set<Socket>();
    const proxy = createServer({ noDelay: true }, (near) => {
      const far = connect({ host: '127.0.0.1', port: server.port, noDelay: true });
      for (const end of [near, far]) sockets.add(end.on('error', () => undefined));
      near.on('data', (bytes) => far.write(bytes)).on('close', () => far.destroy());
      far
        .on('close', () => near.destroy())
        .on('data', (bytes: Buffer) => {
          heard.push(bytes);
          for (const byte of bytes) near.write(Uint8Array.of(byte));
        });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    return {
      port: (proxy.address() as AddressInfo).port,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        proxy.close();
        await once(proxy, 'close');
      },
    };
  }

  test('may come one by one, with TLS and without', async () => {
    await using slow = await bytewise([]);
    for (const mode of ['disable', 'require'] as const) {
      expect((await whoAmI({ port: slow.port, mode }))?.[0]).toBe('postgres');
    }
  });

  test('may be wrong at any place: a clear error or a login, never anything else', async () => {
    const heard: Buffer[] = [];
    {
      await using slow = await bytewise(heard);
      const one = target({ port: slow.port, mode: 'disable', user: 'trusted' });
      await using connection = await connectTarget({
        target: one,
        signal: new AbortController().signal,
      });
      expect(connection.parameters.get('server_encoding')).toBe('UTF8');
    }
    const good = Buffer.concat(heard);
    expect(good.length).toBeGreaterThan(200);
    let answer = good;
    const fake = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end(answer));
    });
    fake.listen(0, '127.0.0.1');
    await once(fake, 'listening');
    const { port } = fake.address() as AddressInfo;
    const codes = new Set<string>();
    for (let at = 0; at < good.length; at += 1) {
      for (const wrong of [0x00, 0xff]) {
        answer = Buffer.from(good);
        answer[at] = wrong;
        try {
          const one = target({ port, mode: 'disable', user: 'trusted' });
          const connection = await connectTarget({
            target: one,
            signal: new AbortController().signal,
          });
          connection.socket.destroy();
        } catch (error) {
          if (!(error instanceof HoopError)) throw error;
          codes.add(error.code);
        }
      }
    }
    fake.close();
    expect(codes).toEqual(new Set(['HOOP_TARGET_LOGIN', 'HOOP_TARGET_UNREACHABLE']));
  });
});

test('where only the gateway knows the address, no error names it', async () => {
  const secret = [{ host: 'localhost', port: 1, shown: undefined }];
  const texts = await Promise.all(
    [
      { ...target(), hosts: secret },
      { ...target(), hosts: [{ host: 'no-such-host.invalid', port: 5432, shown: undefined }] },
      {
        ...target({ mode: 'verify-full', ca: ca.certificate }),
        hosts: [{ ...hostAt(server.port), shown: undefined }],
      },
    ].map(async (one) => {
      const error = await connectTarget({
        target: one,
        signal: new AbortController().signal,
      }).catch((reason: unknown) => reason);
      if (!(error instanceof HoopError)) throw new Error('it should not connect');
      return [error.message, error.detail, error.hint].join(' ');
    }),
  );
  expect(texts[0]).toContain('The connection was refused');
  expect(texts[1]).toContain('cannot be resolved');
  expect(texts[2]).toContain('for another name');
  expect(texts.join(' ')).not.toMatch(/localhost|127\.0\.0\.1|::1|invalid|:5432/);
});

test('an aborted signal ends the attempt with its reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  controller.abort(reason);
  const attempt = connectTarget({ target: target(), signal: controller.signal });
  await expect(attempt).rejects.toBe(reason);
});

test('query gives rows of text and the error of the server as one of ours', async () => {
  await using connection = await connectTarget({
    target: target(),
    signal: new AbortController().signal,
  });
  expect(await connection.query("SELECT 1, NULL; SELECT 'x'")).toEqual([['x']]);
  await expect(connection.query('SELEC')).rejects.toMatchObject({
    code: 'HOOP_TARGET_UNREACHABLE',
  });
  expect(await connection.query('SELECT 2')).toEqual([['2']]);
});

test('cancel stops what the connection does', async () => {
  await using connection = await connectTarget({
    target: target(),
    signal: new AbortController().signal,
  });
  let isOver = false;
  const sleeping = connection.query('SELECT pg_sleep(3600)').catch((error: unknown) => {
    isOver = true;
    return error;
  });
  // One that arrives before the statement has begun is lost, as the protocol has it.
  while (!isOver) await connection.cancel();
  expect(await sleeping).toMatchObject({ cause: { code: '57014' } });
});

test('a client that closes its half gets its answers from a target with TLS too', async () => {
  await using bench = await startBench({ target: target({ mode: 'require' }) });
  const socket = connect({ port: bench.port, host: '127.0.0.1', allowHalfOpen: true });
  const client = new RawClient(socket);
  client.send(
    encodeStartupMessage({
      majorVersion: 3,
      minorVersion: 0,
      parameters: new Map([['user', 'x']]),
    }),
    query("SELECT repeat('x', 100000), g FROM pg_sleep(0.3), generate_series(1, 50) g"),
  );
  socket.end();
  await client.closed();
  expect(rows(client.received)).toHaveLength(50);
  await bench.idle();
  expect(bench.summaries).toMatchObject([{ reason: 'the client closed the connection' }]);
});
