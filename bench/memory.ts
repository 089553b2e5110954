/** Memory of gateway and CLI: while much is streamed, and with many idle connections. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { streamingSelect } from './bulk.ts';
import type { Lane } from './lanes.ts';
import { residentKilobytes } from './process-figures.ts';
import { RawClient } from './raw-client.ts';

const STREAMED_BYTES = 1 << 30;
/** The slow reader takes this much and then stops for a while. */
const READ_BEFORE_PAUSE_BYTES = 64e6;
const PAUSE_MS = 5000;
/** Logins that come first, so that what is made once is not counted for the connections. */
const FIRST_LOGINS = 40;
const LOGINS_AT_ONCE = 8;
/** Buffers of logins and statements are given back in this time, if ever. */
const SETTLE_MS = 5000;
/** A process of PostgreSQL for each connection. */
const SERVER_BYTES_PER_CONNECTION = 4e6;
/** A socket to either side. */
const FILES_PER_CONNECTION = 2;
const OTHER_FILES = 200;

export type Notes = Record<string, number>;
/** Gateway and CLI, KB. */
type Resident = readonly [number, number];

/** Of processes that have done nothing else yet; MB. */
export async function memoryWhileStreaming(lane: Lane): Promise<Notes> {
  const [gateway = 0] = lane.serverEnd;
  const [cli = 0] = lane.clientEnd;
  const sql = streamingSelect(STREAMED_BYTES);
  const client = await RawClient.connect(lane.url);
  await client.query(sql);
  client.close();
  const slow = await RawClient.connect(lane.url);
  await slow.readSome(sql, READ_BEFORE_PAUSE_BYTES);
  const before = residentKilobytes(gateway, 'VmRSS');
  await sleep(PAUSE_MS);
  const growth = residentKilobytes(gateway, 'VmRSS') - before;
  slow.close();
  const megabytes = (kilobytes: number): number => Math.round(kilobytes / 1000);
  return {
    'gateway, peak RSS from its start until 1 GB was streamed (MB)': megabytes(
      residentKilobytes(gateway, 'VmHWM'),
    ),
    'CLI, peak RSS from its start until 1 GB was streamed (MB)': megabytes(
      residentKilobytes(cli, 'VmHWM'),
    ),
    'gateway, RSS gained while a reader pauses for 5 s in mid-result (MB)': megabytes(growth),
  };
}

/** Of processes that have done nothing else yet; KB per connection. */
export async function memoryOfIdleConnections(
  lane: Lane,
  connections: number,
  say: (text: string) => void,
): Promise<Notes> {
  const missing = whatIsMissing(connections);
  if (missing) {
    say(`MISSING: memory of ${connections} idle connections, ${missing}`);
    return {};
  }
  const [gateway = 0] = lane.serverEnd;
  const [cli = 0] = lane.clientEnd;
  const resident = (): Resident => [
    residentKilobytes(gateway, 'VmRSS'),
    residentKilobytes(cli, 'VmRSS'),
  ];
  const first = await openMany(lane, FIRST_LOGINS);
  await Promise.all(first.map((client) => client.query('SELECT 1')));
  for (const client of first) {
    client.close();
  }
  await sleep(SETTLE_MS);
  const before = resident();
  const half = Math.floor(connections / 2);
  const clients = [...(await openMany(lane, half))];
  await sleep(SETTLE_MS);
  const halfOpen = resident();
  clients.push(...(await openMany(lane, connections - half)));
  await sleep(SETTLE_MS);
  const open = resident();
  for (const client of clients) {
    await client.query('SELECT 1');
  }
  await sleep(SETTLE_MS);
  const used = resident();
  for (const client of clients) {
    client.close();
  }
  const each = (end: 0 | 1, from: Resident, to: Resident, count: number): number =>
    Math.round((to[end] - from[end]) / count);
  const rest = connections - half;
  const notes = Object.fromEntries(
    (['gateway', 'CLI'] as const).flatMap((name, index) => {
      const end = index === 0 ? 0 : 1;
      return [
        [
          `${name}, RSS per idle connection, ${connections} open (KB)`,
          each(end, before, open, connections),
        ],
        // Less than the whole: there is room in what the first half's logins made the heap grow to.
        [
          `${name}, RSS per idle connection, the last ${rest} of them (KB)`,
          each(end, halfOpen, open, rest),
        ],
        [
          `${name}, RSS per idle connection, after one statement on each (KB)`,
          each(end, before, used, connections),
        ],
      ];
    }),
  );
  for (const [name, value] of Object.entries(notes)) {
    say(`${name}: ${value}`);
  }
  return notes;
}

function whatIsMissing(connections: number): string | undefined {
  if (freemem() < connections * SERVER_BYTES_PER_CONNECTION) {
    return 'the machine has too little memory for so many processes of PostgreSQL';
  }
  // Node raises its soft limit to the hard one, and hands it on.
  const limit = /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const needed = connections * FILES_PER_CONNECTION + OTHER_FILES;
  return limit !== undefined && Number(limit) < needed
    ? `a process may have ${limit} open files and needs ${needed} (ulimit -Hn)`
    : undefined;
}

async function openMany(lane: Lane, count: number): Promise<readonly RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < count) {
    const batch = Math.min(LOGINS_AT_ONCE, count - clients.length);
    const opened = Array.from({ length: batch }, () => RawClient.connect(lane.url));
    clients.push(...(await Promise.all(opened)));
  }
  return clients;
}
