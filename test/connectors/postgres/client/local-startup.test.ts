import pg from 'pg';
import { expect, test } from 'vitest';
import {
  encodeCancelRequest,
  encodeGSSENCRequest,
  encodeSSLRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import type { RefusalReason } from '../../../../src/tunnel/local-refusal.ts';
import { localBench, PASSWORD, USER } from './local-bench.ts';
import { RawClient } from './raw-client.ts';

const open = localBench();

const startup = (parameters: Record<string, string>, minorVersion = 0) =>
  encodeStartupMessage({
    majorVersion: 3,
    minorVersion,
    parameters: new Map(Object.entries(parameters)),
  });

/** Hostile openings; what each must come to, wherever the packets of the network end. */
const OPENINGS: readonly [string, Uint8Array, RefusalReason | 'login', RegExp?][] = [
  ['a login', startup({ user: USER, database: 'postgres' }), 'login'],
  ['GSSENCRequest', encodeGSSENCRequest(), 'login'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'HTTP'],
  ['protocol 2.0', Buffer.from('0000000800020000', 'hex'), 'unsupported protocol version', /2\.0/],
  ['protocol 4.0', Buffer.from('0000000800040000', 'hex'), 'unsupported protocol version', /4\.0/],
  ['an unknown request', Buffer.from('0000000804d21632', 'hex'), 'malformed login', /08P01/],
  ['no user', startup({ database: 'postgres' }), 'malformed login', /no PostgreSQL user name/],
  ['an empty user', startup({ user: '' }), 'malformed login', /no PostgreSQL user name/],
  [
    'an SSLRequest that is too long',
    Buffer.from('0000000904d2162f00', 'hex'),
    'malformed login',
    /08P01/,
  ],
  [
    'a value without its end',
    Buffer.from('0000000f000300007573657200780a', 'hex'),
    'malformed login',
    /08P01/,
  ],
  [
    'a cancel without a key',
    Buffer.from('0000000c04d2162e00000001', 'hex'),
    'malformed login',
    /08P01/,
  ],
  [
    'a cancel that nobody may',
    encodeCancelRequest({ processId: 7, secretKey: Buffer.alloc(256, 1) }),
    'unknown cancel key',
  ],
];

test.each(OPENINGS)(
  '%s, cut at every byte, comes to the same end',
  async (_title, bytes, end, text) => {
    await using bench = await open();
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const client = await RawClient.connect(bench.port.port);
      client.send(bytes.subarray(0, cut));
      client.send(bytes.subarray(cut));
      if (end === 'login') {
        if (bytes.length === 8) {
          expect(String(await client.bytes(1))).toBe('N');
          client.sendStartup(USER);
        }
        expect((await client.finishLogin(PASSWORD)).at(-1)).toBe('Z');
        client.close();
        continue;
      }
      await client.closed;
      if (text === undefined) {
        expect(client.received.length).toBe(0);
      } else {
        expect(client.received.toString('latin1')).toMatch(text);
      }
    }
    const expected = end === 'login' ? [] : Array.from({ length: bytes.length - 1 }, () => end);
    expect(bench.refusals).toEqual(expected);
    expect(bench.tunnels.length).toBe(end === 'login' ? bytes.length - 1 : 0);
  },
);

test('a repeated question about encryption is refused, also with the other in between', async () => {
  await using bench = await open();
  for (const request of [encodeSSLRequest(), encodeGSSENCRequest()]) {
    const other = request.at(-1) === 0x2f ? encodeGSSENCRequest() : encodeSSLRequest();
    const client = await RawClient.connect(bench.port.port);
    for (const question of [request, other]) {
      client.send(question);
      expect(String(await client.bytes(1))).toBe('N');
    }
    client.send(request);
    await client.closed;
  }
  expect(bench.refusals).toEqual(['garbage', 'garbage']);
});

test.each([
  ['3.0', 0, {}, undefined],
  ['3.1, which nobody has', 1, {}, undefined],
  ['3.2', 2, {}, undefined],
  ['3.3', 3, {}, '0003000200000000'],
  ['3.9999', 9999, {}, '0003000200000000'],
  ['3.0 with an unknown option', 0, { '_pq_.x': '1' }, '00030000000000015f70715f2e7800'],
  [
    '3.2 with two',
    2,
    { '_pq_.x': '1', '_pq_.y': '' },
    '00030002000000025f70715f2e78005f70715f2e7900',
  ],
])('protocol %s is negotiated once or not at all', async (_title, minor, options, negotiated) => {
  await using bench = await open();
  const client = await RawClient.connect(bench.port.port);
  client.send(startup({ user: USER, database: 'postgres', ...options }, minor));
  if (negotiated !== undefined) {
    const message = await client.message();
    expect(String.fromCharCode(message.type)).toBe('v');
    expect(message.body.toString('hex')).toBe(negotiated);
  }
  const types = await client.finishLogin(PASSWORD);
  expect([...client.seen, ...types].filter((type) => type === 'v').length).toBe(
    negotiated === undefined ? 0 : 1,
  );
  client.close();
});

test('1000 silent connections do not disturb a login, while they come and after', async () => {
  await using bench = await open();
  const coming = Promise.all(
    Array.from({ length: 1000 }, () => RawClient.connect(bench.port.port)),
  );
  const logIn = async (): Promise<void> => {
    const client = new pg.Client({
      connectionString: `postgres://${USER}:${PASSWORD}@127.0.0.1:${bench.port.port}/postgres`,
    });
    await client.connect();
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  };
  await Promise.all(Array.from({ length: 8 }, logIn));
  const silent = await coming;
  await Promise.all(Array.from({ length: 8 }, logIn));
  expect(new Set(bench.refusals)).toEqual(new Set(['too many connections']));
  for (const client of silent) {
    client.close();
  }
});

test('a login that has begun is not the one that goes when others wait in silence', async () => {
  await using bench = await open();
  const client = await RawClient.connect(bench.port.port);
  client.sendStartup(USER);
  // Asked for the password: its packet has been read.
  await expect.poll(() => client.received.length).toBeGreaterThan(0);
  const silent: RawClient[] = [];
  for (let count = 0; count < 200; count += 1) {
    silent.push(await RawClient.connect(bench.port.port));
  }
  expect((await client.finishLogin(PASSWORD)).at(-1)).toBe('Z');
  for (const other of [client, ...silent]) {
    other.close();
  }
});
