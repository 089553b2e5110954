import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import type { PostgresTarget } from '../../../../src/connectors/postgres/gateway/types.ts';
import { toErrorResponse } from '../../../../src/connectors/postgres/gateway/wire/to-error-response.ts';
import { decodeErrorResponse } from '../../../../src/connectors/postgres/protocol/report-fields.ts';
import { BYTES } from '../../../../src/connectors/postgres/protocol/text-codec.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { HoopError } from '../../../../src/errors.ts';
import type { TargetHost } from '../../../../src/gateway/targets/target-host.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { hostAt, targetOf } from './test-target.ts';

/** Two servers with one password: one takes writes, one does not. */
let writer: EmbeddedPostgres;
let reader: EmbeddedPostgres;

const TRUST = 'host all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n';

beforeAll(async () => {
  writer = await startTestPostgres({ hba: TRUST });
  reader = await startTestPostgres({
    hba: TRUST,
    settings: { default_transaction_read_only: 'on' },
  });
});
afterAll(async () => {
  await writer?.[Symbol.asyncDispose]();
  await reader?.[Symbol.asyncDispose]();
});

async function portOf(hosts: readonly TargetHost[], changes: Partial<PostgresTarget> = {}) {
  const target = targetOf(writer, { hosts, connectTimeoutMs: 1000, ...changes });
  await using connection = await connectTarget({ target, signal: new AbortController().signal });
  expect(connection.server).toBe(`127.0.0.1:${connection.host.port}`);
  return connection.host.port;
}

const writes = () => hostAt(writer.port);
const reads = () => hostAt(reader.port);

test.each([
  ['any', 'reader first', () => [reads(), writes()], () => reader.port],
  ['read-write', 'reader first', () => [reads(), writes()], () => writer.port],
  ['read-only', 'writer first', () => [writes(), reads()], () => reader.port],
  ['primary', 'reader first', () => [reads(), writes()], () => reader.port],
  ['prefer-standby', 'no standby at all', () => [writes(), reads()], () => writer.port],
] as const)('%s takes the right one (%s)', async (sessionAttributes, _order, hosts, port) => {
  expect(await portOf(hosts(), { sessionAttributes })).toBe(port());
});

test.each([
  ['standby', 'not a standby'],
  ['read-only', 'accepts writes'],
] as const)('%s where there is none is an error that says so', async (sessionAttributes, text) => {
  await expect(portOf([writes()], { sessionAttributes })).rejects.toMatchObject({
    code: 'HOOP_TARGET_UNREACHABLE',
    detail: `127.0.0.1:${writer.port}: The server ${text === 'accepts writes' ? text : `is ${text}`}.`,
  });
});

test('a standby is known by its own word, also before version 14, which reports nothing', async () => {
  const asked: string[] = [];
  const old = await fakeServer((socket, bytes) => {
    if (bytes.includes('pg_is_in_recovery')) {
      asked.push('recovery');
      socket.write(Buffer.concat([dataRow('t', 'off'), READY]));
    } else if (bytes.includes('user\0')) {
      socket.write(Buffer.concat([OK, READY]));
    }
  });
  const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
  const hosts = [writes(), hostAt(old.port)];
  expect(await portOf(hosts, { sessionAttributes: 'standby', tls })).toBe(old.port);
  expect(await portOf(hosts, { sessionAttributes: 'prefer-standby', tls })).toBe(old.port);
  await expect(
    portOf([hostAt(old.port)], { sessionAttributes: 'primary', tls }),
  ).rejects.toMatchObject({ detail: expect.stringContaining('is a standby') });
  expect(asked.length).toBe(3);
  old.close();
});

describe('a host that cannot be used', () => {
  test('because nothing listens, is skipped', async () => {
    expect(await portOf([hostAt(1), writes()])).toBe(writer.port);
  });

  test('because it says nothing, is given up after its own time', async () => {
    const silent = await fakeServer(() => undefined);
    expect(await portOf([hostAt(silent.port), writes()], { connectTimeoutMs: 2000 })).toBe(
      writer.port,
    );
    silent.close();
  });

  test('because it is starting up, is skipped', async () => {
    const starting = await fakeServer((socket) => socket.end(errorResponse('57P03')));
    const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
    expect(await portOf([hostAt(starting.port), writes()], { tls })).toBe(writer.port);
    starting.close();
  });

  test('because it refuses the credential, ends it: the others are not asked', async () => {
    const strict = await fakeServer((socket) => socket.end(errorResponse('28P01')));
    const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
    await expect(portOf([hostAt(strict.port), writes()], { tls })).rejects.toMatchObject({
      code: 'HOOP_TARGET_LOGIN',
      detail: expect.stringContaining('28P01'),
    });
    strict.close();
  });

  test('when none can be, each is named with its own reason, as far as it may be', async () => {
    const hosts = [hostAt(1), { ...hostAt(2), shown: 'server 2 of 2' }];
    await expect(portOf(hosts)).rejects.toMatchObject({
      code: 'HOOP_TARGET_UNREACHABLE',
      message: 'cannot reach target "test-db"',
      detail:
        '127.0.0.1:1: The connection was refused: nothing listens there. ' +
        'server 2 of 2: The connection was refused: nothing listens there.',
    });
  });
});

test('what the server says of the session is told in its own code, what it says of the credential is not', async () => {
  const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
  for (const [said, told] of [
    ['57P03', '57P03'],
    ['53300', '53300'],
    ['28P01', '08001'],
    ['3D000', '3D000'],
    ['28000', '08001'],
    ['08P01', '08001'],
    ['XX000', '08001'],
  ] as const) {
    const refusing = await fakeServer((socket) => socket.end(errorResponse(said)));
    for (const hosts of [[hostAt(refusing.port)], [hostAt(1), hostAt(refusing.port)]]) {
      const error: unknown = await portOf(hosts, { tls }).catch((one: unknown) => one);
      if (!(error instanceof HoopError)) throw error;
      const { fields } = decodeErrorResponse(toErrorResponse(error).subarray(5), BYTES);
      expect(fields.get('C')).toBe(told);
      expect([...fields.values()].join(' ')).not.toContain('secret');
    }
    refusing.close();
  }
});

/** Both fields of what a client is told when PgBouncer says this. */
async function toldOf(said: string): Promise<readonly (string | undefined)[]> {
  const pooler = await fakeServer((socket) => socket.end(errorResponse('08P01', said)));
  const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
  const target = targetOf(writer, { hosts: [hostAt(pooler.port)], tls });
  const startup = new Map([['options', '-c nonsense=1']]);
  const { signal } = new AbortController();
  const error: unknown = await connectTarget({ target, startup, signal }).catch((one) => one);
  pooler.close();
  if (!(error instanceof HoopError)) throw error;
  const { fields } = decodeErrorResponse(toErrorResponse(error).subarray(5), BYTES);
  return [fields.get('C'), fields.get('M')];
}

test.each([
  'unsupported startup parameter: options',
  'unsupported startup parameter in options: nonsense',
  'no such database: postgres',
  'no more connections allowed (max_client_conn)',
])('what PgBouncer says of the session is told: %s', async (said) => {
  expect(await toldOf(said)).toEqual(['08P01', said]);
});

test.each([
  'unsupported startup parameter: secret_role',
  'no such database: secret_db',
  'no such database: postgres for secret_role',
  'server login failed: FATAL password authentication failed for user "secret_role"',
  'SASL authentication failed',
])('and no name that was not sent, nor what it says of the credential: %s', async (said) => {
  expect(await toldOf(said)).toEqual(['08001', 'cannot log in to target "test-db"']);
});

test('an SQLSTATE that is none is not repeated', async () => {
  const odd = await fakeServer((socket) => socket.end(errorResponse('\u001b[2J')));
  const tls = { ...targetOf(writer).tls, mode: 'disable' } as const;
  await expect(portOf([hostAt(odd.port)], { tls })).rejects.toMatchObject({
    detail: expect.stringContaining('(SQLSTATE unknown)'),
  });
  odd.close();
});

const OK = Buffer.from('520000000800000000', 'hex');
const READY = Buffer.from('5a0000000549', 'hex');

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 'latin1');
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function errorResponse(sqlState: string, text = 'role "secret" from 10.0.0.9'): Buffer {
  return message('E', Buffer.from(`SFATAL\0C${sqlState}\0M${text}\0\0`));
}

function dataRow(...values: string[]): Buffer {
  const body = values.flatMap((value) => [
    Buffer.from([0, 0, 0, value.length]),
    Buffer.from(value),
  ]);
  return message('D', Buffer.concat([Buffer.from([0, values.length]), ...body]));
}

async function fakeServer(answer: (socket: Socket, bytes: Buffer) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('data', (bytes) => answer(socket, bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A server that listens on TCP has an address with a port.
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
