import { once } from 'node:events';
import { chownSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../src/demo/embedded-postgres.ts';
import { connectTarget } from '../../../src/gateway/pg/target-connection.ts';
import type { PostgresTarget } from '../../../src/gateway/pg/types.ts';
import { Secret } from '../../../src/secret.ts';

const ca = createCertificateAuthority();
const otherCa = createCertificateAuthority({ name: 'other' });
let server: EmbeddedPostgres;

beforeAll(async () => {
  // The name is localhost alone, so that 127.0.0.1 is a host that the certificate does not name.
  const { certificate, privateKey } = issueServerCertificate(ca, { names: ['localhost'], ips: [] });
  server = await startEmbeddedPostgres({
    hba: [
      'host all md5_user 127.0.0.1/32 md5',
      'hostssl all clear_user 127.0.0.1/32 password',
      'hostnossl all clear_user 127.0.0.1/32 password',
      'host all trusted 127.0.0.1/32 trust',
      'hostssl all tls_only 127.0.0.1/32 scram-sha-256',
      'host all postgres 127.0.0.1/32 scram-sha-256',
      'host all postgres ::1/128 scram-sha-256',
    ].join('\n'),
    settings: { password_encryption: 'scram-sha-256' },
  });
  writeFileSync(join(server.dataDirectory, 'server.crt'), certificate);
  writeFileSync(join(server.dataDirectory, 'server.key'), privateKey, { mode: 0o600 });
  const { uid, gid } = statSync(server.dataDirectory);
  for (const file of ['server.crt', 'server.key']) {
    chownSync(join(server.dataDirectory, file), uid, gid);
  }
  await using admin = await connectTarget({ target: target(), signal: AbortSignal.timeout(9000) });
  for (const sql of [
    "SET password_encryption = 'md5'",
    "CREATE ROLE md5_user LOGIN PASSWORD 'md5-pw'",
    'RESET password_encryption',
    "CREATE ROLE clear_user LOGIN PASSWORD 'clear-pw'",
    "CREATE ROLE tls_only LOGIN PASSWORD 'tls-pw'",
    'CREATE ROLE trusted LOGIN',
    'ALTER SYSTEM SET ssl = on',
    'SELECT pg_reload_conf()',
  ]) {
    await admin.query(sql);
  }
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Changes {
  readonly mode?: PostgresTarget['tls']['mode'];
  readonly ca?: string;
  readonly user?: string;
  readonly password?: string;
  readonly host?: string;
  readonly port?: number;
  readonly database?: string;
}

function target(changes: Changes = {}): PostgresTarget {
  return {
    name: 'test-db',
    host: changes.host ?? server.host,
    port: changes.port ?? server.port,
    database: changes.database ?? 'postgres',
    user: changes.user ?? server.user,
    password: new Secret(changes.password ?? server.password),
    tls: { mode: changes.mode ?? 'prefer', ca: changes.ca },
    connectTimeoutMs: 3000,
  };
}

async function whoAmI(changes: Changes): Promise<readonly (string | null)[] | undefined> {
  await using connection = await connectTarget({
    target: target(changes),
    signal: AbortSignal.timeout(9000),
  });
  const [row] = await connection.query(
    'SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  );
  expect(connection.tls).toBe(row?.[1] === 't');
  return row;
}

describe('TLS', () => {
  test.each([
    ['disable', undefined, '127.0.0.1', 'f'],
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
    await using plain = await startEmbeddedPostgres();
    const changes = { port: plain.port, password: plain.password };
    await expect(whoAmI({ ...changes, mode: 'require' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_TLS',
    });
    expect(await whoAmI({ ...changes, mode: 'prefer' })).toEqual(['postgres', 'f']);
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
      detail: 'The server did not accept the credential. (SQLSTATE 28P01)',
    });
    const text = JSON.stringify(await failed.catch((error: unknown) => error));
    expect(text).not.toContain('wrong-pw');
    expect(text).not.toContain('postgres');
  });

  test('to a database that is not there', async () => {
    await expect(whoAmI({ database: 'nowhere' })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: 'The database does not exist on the server. (SQLSTATE 3D000)',
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
        signal: AbortSignal.timeout(9000),
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
    const ok = Buffer.from('520000000800000000', 'hex');
    const ready = Buffer.from('5a0000000549', 'hex');
    const sasl = Buffer.from('52000000170000000a534352414d2d5348412d3235360000', 'hex');
    const error = await withServer(
      (socket) => {
        socket.once('data', () => {
          socket.write(sasl);
          socket.once('data', () => socket.write(Buffer.concat([ok, ready])));
        });
      },
      { mode: 'disable' },
    );
    expect(error).toMatchObject({ code: 'HOOP_TARGET_LOGIN' });
  });
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
    signal: AbortSignal.timeout(9000),
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
    signal: AbortSignal.timeout(9000),
  });
  let isOver = false;
  const sleeping = connection.query('SELECT pg_sleep(60)').catch((error: unknown) => {
    isOver = true;
    return error;
  });
  // One that arrives before the statement has begun is lost, as the protocol has it.
  while (!isOver) await connection.cancel();
  expect(await sleeping).toMatchObject({ cause: { code: '57014' } });
});
