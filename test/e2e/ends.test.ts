/**
 * How connections end: each end is played directly and through the real gateway and CLI, and what
 * the client is told must be the same. Then the ends that nobody can announce: a process is killed,
 * and nobody is left behind.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compare } from '../../conformance/protocol/compare.ts';
import type { Lane } from '../../conformance/protocol/lanes.ts';
import {
  bind,
  copyData,
  encode,
  execute,
  flush,
  type Message,
  parse,
  query,
  run,
  sync,
  terminate,
} from '../../conformance/protocol/messages.ts';
import { type WireAddress, WireClient } from '../../conformance/protocol/wire-client.ts';
import { childEnvironment, runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { testLanes } from './test-lanes.ts';

const { lanes, untilActive } = testLanes();

async function isThere(processId: number): Promise<boolean> {
  const rows = await lanes().admin(`SELECT 1 FROM pg_stat_activity WHERE pid = ${processId}`);
  return rows.length > 0;
}

async function untilRunning(processId: number): Promise<void> {
  await expect
    .poll(() => lanes().admin(`SELECT state FROM pg_stat_activity WHERE pid = ${processId}`))
    .toEqual([{ state: 'active' }]);
}

function send(client: WireClient, ...messages: readonly (Message | readonly Message[])[]): void {
  client.write(Buffer.concat(messages.flat().map(encode)));
}

interface End {
  readonly title: string;
  readonly before?: readonly Message[];
  /** A message of this type has come before the end. */
  readonly until?: string;
  /** `running`: the backend is at work. */
  readonly when?: 'running';
  readonly end: 'half-close' | 'terminate' | 'terminated by an administrator' | 'cut off';
}

const SELECT = [query('SELECT id, v FROM t ORDER BY id LIMIT 3')];
const SLOW = [query('SELECT 42 FROM pg_sleep(1.5)')];
const ENDLESS = [query('SELECT pg_sleep(3600)')];
const IN_COPY = { before: [query('COPY t (id) FROM STDIN')], until: 'G' };
const HALF_CLOSE = 'half-close';
const TERMINATED = 'terminated by an administrator';
const ENDS: readonly End[] = [
  { title: 'idle', end: HALF_CLOSE },
  { title: 'with a statement in flight', before: SELECT, end: HALF_CLOSE },
  { title: 'with a slow statement in flight', before: SLOW, end: HALF_CLOSE },
  {
    title: 'with a large result in flight',
    before: [query("SELECT repeat('x', 50000) FROM generate_series(1, 200)")],
    end: HALF_CLOSE,
  },
  {
    title: 'behind several statements, one of which fails',
    before: [query("INSERT INTO t VALUES (901, 'a'); SELECT 1/0"), ...SELECT],
    end: HALF_CLOSE,
  },
  {
    title: 'in a pipeline without its Sync',
    before: run("INSERT INTO t VALUES (902, 'a')"),
    end: HALF_CLOSE,
  },
  {
    title: 'in a pipeline behind a Flush',
    before: [...run('SELECT 1'), flush, ...run('SELECT 2')],
    end: HALF_CLOSE,
  },
  { title: 'in a transaction', before: [query('BEGIN'), ...SELECT], end: HALF_CLOSE },
  { title: 'while copying in', ...IN_COPY, end: HALF_CLOSE },
  {
    title: 'behind copy data',
    before: [query('COPY t (id) FROM STDIN'), copyData('903\n'), copyData('904\n')],
    end: HALF_CLOSE,
  },
  {
    title: 'while copying in a pipeline',
    before: [...run('COPY t (id) FROM STDIN'), copyData('905\n')],
    end: HALF_CLOSE,
  },
  {
    title: 'within a portal',
    before: [query('BEGIN'), parse('SELECT id FROM t ORDER BY id'), bind(), execute('', 2), sync],
    end: HALF_CLOSE,
  },
  { title: 'within a message', before: [...SELECT], end: 'cut off' },
  { title: 'idle', end: 'terminate' },
  { title: 'behind a slow statement', before: SLOW, end: 'terminate' },
  { title: 'in a pipeline without its Sync', before: [...run('SELECT 1')], end: 'terminate' },
  { title: 'while copying in', ...IN_COPY, end: 'terminate' },
  { title: 'idle', end: TERMINATED },
  { title: 'while a statement runs', before: ENDLESS, when: 'running', end: TERMINATED },
  {
    title: 'while a statement of a pipeline runs',
    before: [...run('SELECT 1'), ...run('SELECT pg_sleep(3600)'), ...run('SELECT 2'), sync],
    when: 'running',
    end: TERMINATED,
  },
  { title: 'while copying in', ...IN_COPY, end: TERMINATED },
  { title: 'in a transaction', before: [query('BEGIN')], until: 'C', end: TERMINATED },
  {
    title: 'in a failed transaction',
    before: [query('BEGIN'), query('SELECT 1/0')],
    until: 'E',
    end: TERMINATED,
  },
];

async function play(address: WireAddress, one: End) {
  await using client = await WireClient.open(address);
  const { processId } = client.cancelKey;
  const ready = client.count('Z');
  send(client, one.before ?? []);
  const { until, when, end } = one;
  if (until !== undefined) await client.until(() => client.count(until) > 0);
  if (until !== undefined && until !== 'G') await client.until(() => client.count('Z') > ready);
  if (when === 'running') await untilActive(processId, 'PgSleep');
  // Its error names the line that it is at.
  if (until === 'G' && end === TERMINATED) await untilActive(processId, 'ClientRead');
  switch (end) {
    case 'half-close':
      client.socket.end();
      break;
    case 'cut off':
      client.socket.end(Buffer.from(encode(query('SELECT 1'))).subarray(0, 9));
      break;
    case 'terminate':
      send(client, terminate);
      break;
    case TERMINATED:
      await lanes().admin(`SELECT pg_terminate_backend(${processId})`);
  }
  await client.over();
  await expect.poll(() => isThere(processId)).toBe(false);
  return { received: [...client.received], marks: [], stuckAt: undefined, closed: client.isOver };
}

describe.each(['anything', 'strict'] as const)('under %s, as directly, ends', (lane: Lane) => {
  test.each(ENDS)('a connection by $end: $title', async (one) => {
    await lanes().reset();
    const direct = await play(lanes().direct, one);
    await lanes().reset();
    const hoop = await play(lanes().hoop[lane], one);
    expect(compare(direct, hoop, { anyLocation: lane === 'strict' })).toBeUndefined();
  });
});

const ENORMOUS = "SELECT repeat('x', 1000) FROM generate_series(1, 3000000)";

describe('a client that has gone', () => {
  test.each([
    [
      'with a reset',
      'SELECT pg_sleep(3600)',
      (client: WireClient) => client.socket.resetAndDestroy(),
    ],
    ['without a word', 'SELECT pg_sleep(3600)', (client: WireClient) => client.socket.destroy()],
    ['while copying in', 'COPY t (id) FROM STDIN', (client: WireClient) => client.socket.destroy()],
    ['without reading', ENORMOUS, (client: WireClient) => client.socket.destroy()],
  ])('%s leaves no backend behind', async (_how, sql, leave) => {
    const client = await WireClient.open(lanes().hoop.strict);
    const { processId } = client.cancelKey;
    client.socket.pause();
    send(client, query(sql));
    await untilRunning(processId);
    leave(client);
    await expect.poll(() => isThere(processId)).toBe(false);
  });

  test('after it had closed its half leaves no backend behind', async () => {
    const client = await WireClient.open(lanes().hoop.strict);
    const { processId } = client.cancelKey;
    send(client, SLOW, query('SELECT pg_sleep(3600)'));
    await untilRunning(processId);
    client.socket.end();
    // It is still there: the first answer comes long after its end, and the second statement runs.
    await client.until(() => client.count('D') > 0);
    await untilRunning(processId);
    client.socket.destroy();
    await expect.poll(() => isThere(processId)).toBe(false);
  });

  test('as psql does when it is killed leaves no backend behind', async () => {
    const { user, password, host, port, database } = lanes().hoop.strict;
    const psql = spawn('psql', ['-X', '-c', 'SELECT pg_sleep(3600) /* killed-psql */'], {
      env: {
        ...process.env,
        PGUSER: user,
        PGPASSWORD: password,
        PGHOST: host,
        PGPORT: String(port),
        PGDATABASE: database,
      },
      stdio: 'ignore',
    });
    const running = (): Promise<readonly unknown[]> =>
      lanes().admin(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%killed-psql%' AND pid <> pg_backend_pid()",
      );
    await expect.poll(running).toHaveLength(1);
    psql.kill('SIGKILL');
    await expect.poll(running).toHaveLength(0);
  });
});

describe('on a unix socket', () => {
  test('a client that closes its half gets the answers that come soon', async () => {
    await using service = await startHoop(
      ['connect', 'strict', '--json', '--socket'],
      'listening',
      {
        home: lanes().demo.homes['engineer'] ?? '',
      },
    );
    const { host, port, user, password, database } = service.ready;
    const path = join(String(host), `.s.PGSQL.${port}`);
    const client = await WireClient.logIn(connect({ path, allowHalfOpen: true }), {
      ...lanes().direct,
      user: String(user),
      password: String(password),
      database: String(database),
    });
    send(client, SELECT);
    client.socket.end();
    await client.over();
    expect(client.count('D')).toBe(3);
    await client[Symbol.asyncDispose]();
  });
});

/** The server's first process, which starts all others. */
function postmaster(backend: number): number {
  const stat = readFileSync(`/proc/${backend}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

describe('when the CLI is killed', () => {
  test('no backend is left, and the recording says how each stream ended', async () => {
    const home = lanes().demo.homes['engineer'] ?? '';
    await using service = await startHoop(['connect', 'strict', '--json'], 'listening', { home });
    const url = new URL(String(service.ready['url']));
    const address = { ...lanes().hoop.strict, port: Number(url.port), password: url.password };
    await using busy = await WireClient.open(address);
    await using idle = await WireClient.open(address);
    send(busy, query('SELECT pg_sleep(3600)'));
    await untilRunning(busy.cancelKey.processId);
    service.kill('SIGKILL');
    await Promise.all([busy.over(), idle.over()]);
    for (const { cancelKey } of [busy, idle]) {
      await expect.poll(() => isThere(cancelKey.processId)).toBe(false);
    }
    const session = String(service.ready['session']);
    const show = (): ReturnType<typeof runHoop> =>
      runHoop(['sessions', 'show', session, '--json'], { home });
    await expect
      .poll(async () => (await show()).stdout, { interval: 500 })
      .toContain('client_lost');
    const replay = await runHoop(['sessions', 'replay', session, '--json'], { home });
    const closes = replay.stdout.split('\n').filter((line) => line.includes('connection.close'));
    expect(closes.map((line) => JSON.parse(line).reason)).toEqual([
      'the client is gone',
      'the client is gone',
    ]);
  });
});

describe('when all connections end', () => {
  /** One client directly and one through hoop, told at the same moment. */
  async function told(act: (victim: number) => Promise<void> | void): Promise<void> {
    const home = lanes().demo.homes['engineer'] ?? '';
    await using service = await startHoop(['connect', 'strict', '--json'], 'listening', { home });
    const url = new URL(String(service.ready['url']));
    const address = { ...lanes().hoop.strict, port: Number(url.port), password: url.password };
    await using direct = await WireClient.open(lanes().direct);
    await using hoop = await WireClient.open(address);
    await using directBusy = await WireClient.open(lanes().direct);
    await using hoopBusy = await WireClient.open(address);
    for (const client of [directBusy, hoopBusy]) {
      send(client, query('SELECT pg_sleep(3600)'));
      await untilActive(client.cancelKey.processId, 'PgSleep');
    }
    await act(directBusy.cancelKey.processId);
    for (const client of [direct, hoop, directBusy, hoopBusy]) await client.over();
    const transcript = ({ received, isOver }: WireClient) => {
      return { received: [...received], marks: [], stuckAt: undefined, closed: isOver };
    };
    expect(compare(transcript(direct), transcript(hoop))).toBeUndefined();
    expect(direct.received.some(({ type }) => 'EN'.includes(type))).toBe(true);
    expect(compare(transcript(directBusy), transcript(hoopBusy))).toBeUndefined();
  }

  async function untilUp(): Promise<void> {
    await expect
      .poll(
        () =>
          WireClient.open(lanes().hoop.anything).then(async (client) => {
            await client[Symbol.asyncDispose]();
            return client.count('Z') > 0;
          }),
        { interval: 200 },
      )
      .toBe(true);
  }

  test('because a backend was killed, everyone is told so, and hoop serves again after it', async () => {
    await using killed = await WireClient.open(lanes().direct);
    const { processId } = killed.cancelKey;
    await told(() => {
      process.kill(processId, 'SIGKILL');
    });
    await untilUp();
  });

  test('because the gateway was killed, the client is told, idle backends go, and the session ends', async () => {
    const home = lanes().demo.homes['engineer'] ?? '';
    const child = spawn(process.execPath, ['bin/hoop.js', 'connect', 'strict', '--json'], {
      env: childEnvironment({ home }),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await expect.poll(() => said).toContain('listening');
    const url = new URL(JSON.parse(said.split('\n')[0] ?? '').url);
    const address = { ...lanes().hoop.strict, port: Number(url.port), password: url.password };
    await using idle = await WireClient.open(address);
    await using busy = await WireClient.open(address);
    await using holder = await WireClient.open(lanes().direct);
    send(holder, query('SELECT pg_advisory_lock(4711)'));
    await holder.until(() => holder.count('C') === 1);
    send(busy, query('SELECT pg_advisory_lock(4711)'));
    await untilRunning(busy.cancelKey.processId);
    const closed = once(child, 'close');
    await lanes().demo.restartGateway('SIGKILL');
    await Promise.all([busy.over(), idle.over()]);
    await holder[Symbol.asyncDispose]();
    for (const client of [busy, idle]) {
      const fatal = client.received.at(-1);
      expect(fatal?.type).toBe('E');
      expect(String(fatal?.body)).toContain('FATAL');
      expect(String(fatal?.body)).toContain('connection to the gateway was lost');
      // What ran goes on to its end, as at a server whose client was killed: nobody is left to cancel it.
      await expect.poll(() => isThere(client.cancelKey.processId)).toBe(false);
    }
    // The port stays for the next session, so hoop itself is ended here.
    await expect.poll(() => said).toContain('"ended"');
    child.kill('SIGTERM');
    await closed;
  });

  test('because it is stopped in haste, everyone is told so', async () => {
    await told((backend) => {
      process.kill(postmaster(backend), 'SIGINT');
    });
  });
});
