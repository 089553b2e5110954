/** What is taken from one end, case by case. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  limitFiles,
  type Starved,
  type StarvedCase,
  standStill,
  throttle,
} from './starved-work.ts';

const END = { client: 'client', gateway: 'gateway' } as const;

function stopped(end: keyof typeof END, forMs: number): readonly [string, StarvedCase] {
  const play: StarvedCase = async (starved) => {
    const work = await starved.work();
    const processId = end === 'client' ? work.service.processId : starved.gatewayProcess;
    await standStill(processId, forMs);
    await starved.mustGoOn(work);
  };
  return [`stopped: the ${end} stands still for ${forMs / 1000} s`, play];
}

function throttled(end: keyof typeof END): readonly [string, StarvedCase] {
  const play: StarvedCase = async (starved) => {
    const work = await starved.work();
    const processId = end === 'client' ? work.service.processId : starved.gatewayProcess;
    const over = new AbortController();
    const flood = starved.flood(over.signal);
    await throttle(processId, 45_000);
    over.abort();
    await tellFlood(starved, flood);
    await starved.mustGoOn(work);
  };
  return [`throttled: the ${end} has a tenth of the time, in a flood of commands`, play];
}

function slowSync(end: keyof typeof END): readonly [string, StarvedCase] {
  const play: StarvedCase = async (starved) => {
    const work = await starved.work();
    (end === 'client' ? starved.clientFaults : starved.gatewayFaults).set({ syncMs: 4000 });
    await sleep(45_000);
    (end === 'client' ? starved.clientFaults : starved.gatewayFaults).set({});
    await starved.mustGoOn(work);
  };
  return [`sync: each fsync of the ${end} takes 4 s`, play];
}

async function tellFlood(starved: Starved, flood: ReturnType<Starved['flood']>): Promise<void> {
  const statuses = await flood;
  starved.seen.push(`commands by status: ${JSON.stringify([...statuses])}`);
  starved.check('each command has an answer', [...statuses.keys()].join() === '0', [...statuses]);
}

/** The next one that it would be given. */
function freeDescriptor(processId: number): number {
  const used = new Set(readdirSync(`/proc/${processId}/fd`).map(Number));
  let free = 0;
  while (used.has(free)) free += 1;
  return free;
}

export const STARVED_CASES: readonly (readonly [string, StarvedCase])[] = [
  ...[5000, 15_000, 25_000].flatMap((ms) => [stopped('client', ms), stopped('gateway', ms)]),
  // Longer than the control channel waits for an answer, which ends it before the lag does: who is
  // silent is not late. What the stopped end has not signed is the other's alone.
  [
    'stopped: the client stands still for 50 s, with work under way',
    async (starved) => {
      const work = await starved.work();
      work.mayBeOneSided = true;
      await standStill(work.service.processId, 50_000);
      await starved.mustEnd(work, /the connection to the gateway was lost/, /hoop connect/);
    },
  ],
  [
    'stopped: the gateway stands still for 50 s, with work under way',
    async (starved) => {
      const work = await starved.work();
      work.mayBeOneSided = true;
      await standStill(starved.gatewayProcess, 50_000);
      await starved.mustEnd(work, /the connection to the gateway was lost/, /hoop connect/);
    },
  ],
  throttled('client'),
  throttled('gateway'),
  [
    'nice: the client has the least priority beside busy processors and a flood of commands',
    async (starved) => {
      const work = await starved.work();
      setPriority(work.service.processId, 19);
      const hogs = Array.from({ length: 8 }, () =>
        spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
      );
      const over = new AbortController();
      const flood = starved.flood(over.signal);
      await sleep(60_000);
      over.abort();
      for (const hog of hogs) hog.kill('SIGKILL');
      await tellFlood(starved, flood);
      await starved.mustGoOn(work);
    },
  ],
  slowSync('client'),
  slowSync('gateway'),
  [
    'disk: the one of the client is full',
    async (starved) => {
      const work = await starved.work();
      work.mayBeOneSided = true;
      starved.clientFaults.set({ isDiskFull: true });
      await starved.mustEnd(work, /the disk is full/, /"hint"/);
    },
  ],
  [
    'disk: the one of the gateway is full',
    async (starved) => {
      const work = await starved.work();
      work.mayBeOneSided = true;
      starved.gatewayFaults.set({ isDiskFull: true });
      await starved.mustEnd(work, /the disk is full|no room/, /"hint"/);
    },
  ],
  [
    'files: the client has no descriptor left',
    async (starved) => {
      const work = await starved.work();
      limitFiles(work.service.processId, freeDescriptor(work.service.processId));
      starved.seen.push(`a connection more: ${await work.connect()}`);
      await starved.mustGoOn(work);
      limitFiles(work.service.processId, undefined);
      const after = await work.connect();
      starved.check('a connection comes through again', after === 'one', after);
    },
  ],
  [
    'files: the gateway has no descriptor left',
    async (starved) => {
      const work = await starved.work();
      limitFiles(starved.gatewayProcess, freeDescriptor(starved.gatewayProcess));
      const whoami = await starved.bench.hoop('engineer', 'whoami');
      starved.seen.push(`whoami: ${whoami.exitCode} ${whoami.stderr}`);
      starved.seen.push(`a connection more: ${await work.connect()}`);
      // A statement that needs a thread of its own may be refused meanwhile; the session stays.
      await starved.mustStay(work);
      limitFiles(starved.gatewayProcess, undefined);
      const after = await work.connect();
      starved.check('a connection comes through again', after === 'one', after);
    },
  ],
  [
    'network: the identity provider is away',
    async (starved) => {
      const work = await starved.work();
      const refusedPort = Number(new URL(starved.bench.demo.issuer).port);
      starved.clientFaults.set({ refusedPort });
      starved.gatewayFaults.set({ refusedPort });
      await starved.mustGoOn(work);
      const more = await work.connect();
      starved.check('a connection more', more === 'one', more);
    },
  ],
  [
    'gateway: restarted in order',
    async (starved) => {
      const work = await starved.work();
      await starved.bench.demo.restartGateway('SIGTERM');
      await starved.mustEnd(work, /shut|stop|restart/, /"hint"/);
    },
  ],
  [
    'gateway: killed',
    async (starved) => {
      const work = await starved.work();
      await starved.bench.demo.restartGateway('SIGKILL');
      await starved.mustEnd(work, /connection to the gateway was lost/, /"hint"/);
    },
  ],
];
