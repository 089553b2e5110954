/**
 * CancelRequest at any moment: directly and through the real gateway and CLI it must hit the same,
 * byte for byte, with keys of protocol 3.0 and 3.2; and nobody else's statement.
 */
import { describe, expect, test } from 'vitest';
import { compare } from '../../conformance/protocol/compare.ts';
import {
  bind,
  copyData,
  copyDone,
  encode,
  execute,
  type Message,
  parse,
  query,
  run,
  sync,
} from '../../conformance/protocol/messages.ts';
import { type WireAddress, WireClient } from '../../conformance/protocol/wire-client.ts';
import { runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { testLanes } from './test-lanes.ts';

const { lanes, untilActive } = testLanes();

interface Moment {
  readonly title: string;
  readonly before: readonly Message[];
  /** `running`: the backend is at work. `idle`: all has been answered. `copying`: it reads data. */
  readonly when: 'running' | 'idle' | 'copying';
  readonly after?: readonly Message[];
  /** How many ReadyForQuery come in all, with that of the login. */
  readonly readies: number;
}

const SLEEP = 'SELECT pg_sleep(3600)';
const SELECT = query('SELECT 7');
const MOMENTS: readonly Moment[] = [
  { title: 'before the first statement', before: [], when: 'idle', after: [SELECT], readies: 2 },
  { title: 'after a statement', before: [SELECT], when: 'idle', after: [SELECT], readies: 3 },
  { title: 'during a statement', before: [query(SLEEP)], when: 'running', readies: 2 },
  {
    title: 'in a transaction',
    before: [query('BEGIN'), query(SLEEP)],
    when: 'running',
    after: [SELECT, query('ROLLBACK')],
    readies: 5,
  },
  {
    title: 'in the middle of several statements of one text',
    before: [query(`SELECT 1; ${SLEEP}; SELECT 2`)],
    when: 'running',
    readies: 2,
  },
  {
    title: 'in the middle of a pipeline',
    before: [...run('SELECT 1'), ...run(SLEEP), ...run('SELECT 2'), sync],
    when: 'running',
    readies: 2,
  },
  {
    title: 'in a pipeline of several segments, of which only one is hit',
    before: [...run(SLEEP), sync, ...run('SELECT 2'), sync, query('SELECT 3')],
    when: 'running',
    readies: 4,
  },
  {
    title: 'between two parts of a portal',
    before: [query('BEGIN'), parse('SELECT id FROM t ORDER BY id'), bind(), execute('', 2), sync],
    when: 'idle',
    after: [execute('', 2), sync, query('COMMIT')],
    readies: 5,
  },
  {
    title: 'while COPY sends',
    before: [query('COPY (SELECT 1, pg_sleep(3600)) TO STDOUT')],
    when: 'running',
    readies: 2,
  },
  {
    title: 'while COPY reads',
    before: [query('COPY t (id) FROM STDIN')],
    when: 'copying',
    after: [copyData('901\n'), copyDone, SELECT],
    readies: 3,
  },
  {
    title: 'while COPY of a pipeline reads',
    before: [...run('COPY t (id) FROM STDIN'), { kind: 'flush' }],
    when: 'copying',
    after: [copyData('902\n'), copyDone, sync, SELECT],
    readies: 3,
  },
];

function send(client: WireClient, messages: readonly Message[]): void {
  client.write(Buffer.concat(messages.map(encode)));
}

async function play(address: WireAddress, moment: Moment, minorVersion: number) {
  await using client = await WireClient.open(address, { minorVersion });
  const { before, when, after = [], readies } = moment;
  send(client, before);
  const answered = 1 + before.filter(({ kind }) => kind === 'query' || kind === 'sync').length;
  if (when === 'running') await untilActive(client.cancelKey.processId, 'PgSleep');
  else if (when === 'copying') await client.until(() => client.count('G') > 0);
  else await client.until(() => client.count('Z') === answered);
  // A COPY names the line that it is at: it must have begun to read.
  if (when === 'copying') await untilActive(client.cancelKey.processId, 'ClientRead');
  // When its connection is closed the cancel has been dealt with.
  await client.cancel();
  send(client, after);
  await client.until(() => client.count('Z') >= readies);
  return { received: [...client.received], marks: [], stuckAt: undefined, closed: client.isOver };
}

describe.each(['anything', 'strict'] as const)(
  'under %s a cancel does what it does directly',
  (lane) => {
    test.each(MOMENTS)('$title', async (moment) => {
      await lanes().reset();
      const direct = await play(lanes().direct, moment, 0);
      await lanes().reset();
      const hoop = await play(lanes().hoop[lane], moment, 0);
      expect(compare(direct, hoop)).toBeUndefined();
      expect(direct.received.filter(({ type }) => type === 'Z')).toHaveLength(moment.readies);
    });
  },
);

describe('a key of protocol 3.2', () => {
  test.each(MOMENTS.filter(({ title }) => /^(during|while COPY)/.test(title)))(
    'has 32 bytes and cancels $title',
    async (moment) => {
      await lanes().reset();
      const direct = await play(lanes().direct, moment, 2);
      await lanes().reset();
      const hoop = await play(lanes().hoop.strict, moment, 2);
      expect(compare(direct, hoop)).toBeUndefined();
      const key = hoop.received.find(({ type }) => type === 'K');
      expect(key?.body).toHaveLength(4 + 32);
    },
  );

  test('has no effect when a byte is missing, changed or added, and another session’s has none', async () => {
    const home = lanes().demo.homes['engineer'] ?? '';
    await using other = await startHoop(['connect', 'strict', '--json'], 'listening', { home });
    const url = new URL(String(other.ready['url']));
    const there = { ...lanes().hoop.strict, port: Number(url.port), password: url.password };
    await using stranger = await WireClient.open(there, { minorVersion: 2 });
    await using own = await WireClient.open(lanes().hoop.strict, { minorVersion: 2 });
    send(own, [query(SLEEP)]);
    await untilActive(own.cancelKey.processId, 'PgSleep');
    const { processId, secretKey } = own.cancelKey;
    const changed = Buffer.from(secretKey);
    changed[31] = (changed[31] ?? 0) ^ 1;
    for (const key of [secretKey.subarray(0, 31), changed, Buffer.concat([secretKey, changed])]) {
      await own.cancel({ processId, secretKey: key });
    }
    // The right key, at the port of another session, whoever's it is.
    await stranger.cancel({ processId, secretKey });
    expect(own.count('E')).toBe(0);
    await own.cancel();
    await own.until(() => own.count('Z') > 1);
    expect(String(own.received.find(({ type }) => type === 'E')?.body)).toContain('57014');
  });
});

test('a cancel is recorded with the connection that it was for', async () => {
  const home = lanes().demo.homes['engineer'] ?? '';
  const service = await startHoop(['connect', 'strict', '--json'], 'listening', { home });
  const url = new URL(String(service.ready['url']));
  const address = { ...lanes().hoop.strict, port: Number(url.port), password: url.password };
  await using client = await WireClient.open(address);
  send(client, [query(SLEEP)]);
  await untilActive(client.cancelKey.processId, 'PgSleep');
  await client.cancel();
  await client.until(() => client.count('Z') > 1);
  service.kill('SIGINT');
  await service.exited;
  const session = String(service.ready['session']);
  const replay = await runHoop(['sessions', 'replay', session, '--json'], { home });
  const lines = replay.stdout.split('\n').filter((line) => line.startsWith('{'));
  const cancels = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'cancel');
  expect(cancels).toMatchObject([{ stream: 2, forStream: 1 }]);
});

test('the cancel of one statement does not hit the next, whose client has waited for it', async () => {
  await using client = await WireClient.open(lanes().hoop.strict);
  const ask = async (sql: string): Promise<boolean> => {
    const [ready, failed] = [client.count('Z'), client.count('E')];
    send(client, [query(sql)]);
    await client.until(() => client.count('Z') > ready);
    return client.count('E') > failed;
  };
  for (let round = 0; round < 30; round += 1) {
    // About as long as a cancel takes: it comes before, within and after the statement.
    const first = ask(`SELECT pg_sleep(${round / 1000})`);
    const cancelled = client.cancel();
    await Promise.all([first, cancelled]);
    expect(await ask('SELECT pg_sleep(0.02)')).toBe(false);
  }
});
