import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { encodeCancelRequest } from '../../src/connectors/postgres/protocol/startup-packet.ts';
import {
  addressesOf,
  canTellPeers,
  endsOf,
  ownerOf,
  peerUid,
} from '../../src/tunnel/local-peer.ts';
import { localBench, PASSWORD, USER } from '../connectors/postgres/client/local-bench.ts';
import { RawClient } from '../connectors/postgres/client/raw-client.ts';

const open = localBench();
const NOBODY = 65_534;

/** As libpq's user, through the whole login. */
function psqlAs(uid: number | undefined, port: number, password = PASSWORD) {
  return promisify(execFile)(
    'psql',
    [
      '-X',
      '-At',
      '-d',
      `host=127.0.0.1 port=${port} user=${USER} dbname=postgres`,
      '-c',
      'SELECT 42',
    ],
    {
      cwd: '/',
      env: { PATH: process.env['PATH'], PGPASSWORD: password, HOME: '/nonexistent' },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
}

/** A connection that this user has made, and passed on to us. */
async function connectedBy(uid: number, port: number): Promise<Socket> {
  const script = `const socket = require('node:net').connect({ host: '127.0.0.1', port: ${port} });
    socket.once('connect', () => process.send('connected', socket, () => process.disconnect()));`;
  const child = spawn(process.execPath, ['-e', script], {
    cwd: '/',
    uid,
    gid: uid,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [, socket] = await once(child, 'message');
  await once(child, 'close');
  return socket;
}

// Only root can be somebody else.
describe.runIf(process.platform === 'linux' && process.getuid?.() === 0)('another user', () => {
  test('who even has the password is refused, with the words that a wrong one gets', async () => {
    await using bench = await open();
    for (const password of [PASSWORD, 'a guess']) {
      await expect(psqlAs(NOBODY, bench.port.port, password)).rejects.toThrow(
        /this port belongs to another user of this machine[\s\S]*uid 65534[\s\S]*--allow-uid 65534/,
      );
    }
    expect(bench.refusals).toEqual(['another user', 'another user']);
    expect(bench.tunnels).toEqual([]);
    expect((await psqlAs(undefined, bench.port.port)).stdout).toBe('42\n');
  });

  test('who is let in comes in, and still needs the password', async () => {
    await using bench = await open({ allowedUids: [NOBODY] });
    expect((await psqlAs(NOBODY, bench.port.port)).stdout).toBe('42\n');
    expect(bench.refusals).toEqual([]);
  });

  test('who passes the socket on is still the one who connected, and gets no proof of the password', async () => {
    await using bench = await open();
    const client = new RawClient(await connectedBy(NOBODY, bench.port.port));
    await expect(client.logIn(USER, PASSWORD)).rejects.toThrow('closed');
    expect(client.seen.slice(0, 2)).toEqual(['R', 'R']);
    // AuthenticationSASL, AuthenticationSASLContinue, and then the refusal.
    expect(client.seen.slice(2)).toEqual(['E']);
    expect(bench.refusals).toEqual(['another user']);
    expect(bench.tunnels).toEqual([]);
  });

  test('who is handed a connection of the owner may use it: the owner has let them', async () => {
    await using bench = await open();
    const client = new RawClient(await connectedBy(process.getuid?.() ?? 0, bench.port.port));
    expect((await client.logIn(USER, PASSWORD)).at(-1)).toBe('Z');
    client.close();
  });

  test('whom a user namespace does not know is nobody in it, even if nobody is let in', async () => {
    const self = fileURLToPath(new URL('../../src/tunnel/', import.meta.url));
    const script = `
      const { LocalListener } = await import('${self}local-listener.ts');
      const { PeerCheck } = await import('${self}peer-check.ts');
      const listener = await LocalListener.open({ type: 'tcp', port: 0 });
      const check = new PeerCheck(listener, [${NOBODY}]);
      listener.serve(async (socket) => {
        console.log(JSON.stringify({ stranger: (await check.stranger(socket)) ?? null }));
        socket.destroy();
      });
      console.log(JSON.stringify({ port: listener.port }));`;
    const args = [
      '--user',
      '--map-root-user',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ];
    const inside = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const lines = createInterface(inside.stdout)[Symbol.asyncIterator]();
      const { port } = JSON.parse(String((await lines.next()).value));
      const byNobody = await connectedBy(NOBODY, port);
      expect(JSON.parse(String((await lines.next()).value))).toEqual({ stranger: {} });
      const byRoot = connect({ host: '127.0.0.1', port });
      expect(JSON.parse(String((await lines.next()).value))).toEqual({ stranger: null });
      byNobody.destroy();
      byRoot.destroy();
    } finally {
      inside.kill();
      await once(inside, 'close');
    }
  });

  test('cannot cancel either, and learns nothing of the key', async () => {
    await using bench = await open();
    const packet = encodeCancelRequest({ processId: 1, secretKey: Buffer.alloc(4) });
    const bytes = packet.reduce(
      (text, byte) => `${text}\\x${byte.toString(16).padStart(2, '0')}`,
      '',
    );
    const script = `exec 3<>/dev/tcp/127.0.0.1/${bench.port.port}; printf '${bytes}' >&3; cat <&3`;
    const options = { cwd: '/', uid: NOBODY, gid: NOBODY };
    const { stdout } = await promisify(execFile)('bash', ['-c', script], options);
    expect(stdout).toContain('this port belongs to another user');
    expect(bench.refusals).toEqual(['another user']);
  });
});

describe.runIf(process.platform === 'linux')('the tables of Linux', () => {
  test('show our own port as ours, and no port that is not there', async () => {
    await using bench = await open();
    expect(await canTellPeers('127.0.0.1', bench.port.port)).toBe(true);
    expect(await canTellPeers('127.0.0.2', bench.port.port)).toBe(false);
  });

  test.each([
    ['an IPv4 socket', '127.0.0.1', undefined],
    ['an IPv6 socket, as Java uses', '::ffff:127.0.0.1', undefined],
    ['another address of the loopback', '127.0.0.1', '127.0.0.77'],
  ])('show a connection from %s', async (_title, host, localAddress) => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    const [accepted] = await once(server, 'connection');
    const ends = endsOf(accepted);
    if (ends === undefined) throw new Error('the connection has no ends');
    expect(await peerUid(ends)).toBe(process.getuid?.());
    // Closed by both sides it is nobody's.
    client.end();
    await once(accepted.resume(), 'end');
    expect(await peerUid(ends)).toBeUndefined();
    client.destroy();
    accepted.destroy();
    server.close();
  });
});

describe.runIf(endianness() === 'LE')('a row of the table', () => {
  const ends = addressesOf({ near: ['127.0.0.1', 46901], far: ['127.0.0.1', 5432] });
  const row = (local: string, remote: string, state = '01', inode = '1234') =>
    `  10: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 20 4`;

  test('belongs to the end that is asked for, not to ours', () => {
    expect(ownerOf(row('0100007F:B735', '0100007F:1538'), ends)).toBe(1000);
    expect(ownerOf(row('0100007F:1538', '0100007F:B735'), ends)).toBeUndefined();
  });

  test.each(['01', '04', '05', '08', '09', '0B'])(
    'of a connection that there is says whose it is, also when an end is closed: %s',
    (state) => {
      expect(ownerOf(row('0100007F:B735', '0100007F:1538', state), ends)).toBe(1000);
    },
  );

  test('of IPv6 counts when its addresses are mapped ones, and only then', () => {
    const mapped = '0000000000000000FFFF00000100007F';
    expect(ownerOf(row(`${mapped}:B735`, `${mapped}:1538`), ends)).toBe(1000);
    const loopback = '00000000000000000000000001000000';
    expect(ownerOf(row(`${loopback}:B735`, `${loopback}:1538`), ends)).toBeUndefined();
  });

  test.each([
    ['another port', row('0100007F:B736', '0100007F:1538')],
    ['another address', row('0200007F:B735', '0100007F:1538')],
    ['a connection that is over', row('0100007F:B735', '0100007F:1538', '06')],
    ['one that is only tried', row('0100007F:B735', '0100007F:1538', '02')],
    ['one that is half made', row('0100007F:B735', '0100007F:1538', '03')],
    ['one that was reset', row('0100007F:B735', '0100007F:1538', '07')],
    [
      'a socket that nobody holds, shown as root\u2019s',
      row('0100007F:B735', '0100007F:1538', '04', '0'),
    ],
    [
      'the heading',
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid',
    ],
    ['nothing', ''],
    ['a uid that is none', row('0100007F:B735', '0100007F:1538').replace('1000', '-1')],
  ])('about %s says nothing', (_title, text) => {
    expect(ownerOf(text, ends)).toBeUndefined();
  });
});

test('a client that goes while it is looked up is not counted as an error of ours', async () => {
  await using bench = await open();
  const client = await RawClient.connect(bench.port.port);
  client.sendStartup(USER);
  client.socket.resetAndDestroy();
  const next = await RawClient.connect(bench.port.port);
  await next.logIn(USER, PASSWORD);
  next.close();
});
