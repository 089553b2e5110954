/**
 * kill -9 of a gateway at random moments: under statements, approvals, refusals and a budget of rows,
 * and while it recovers from the kill before. What must hold is in kill-checks.ts. A round in which
 * nothing was done does not count.
 *
 *     npm run soak:kill -- --rounds 100 --seed 7 --store postgres
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { randomOf } from '../../conformance/fuzz/random.ts';
import { startDemo } from '../../src/demo/demo.ts';
import { credentialVariables } from '../../src/demo/gateway-files.ts';
import { childEnvironment, LAUNCHER, startHoop } from '../../src/demo/hoop-process.ts';
import { logInDemo } from '../log-in-demo.ts';
import { Bench, Connection } from './demo-bench.ts';
import { KillChecks, type Round } from './kill-checks.ts';
import { openKilledStore } from './kill-store.ts';
import {
  decideAll,
  newTold,
  TABLES,
  type Votes,
  work,
  workAndBeRefused,
  workLater,
  writeKillPolicy,
} from './kill-work.ts';

/** From the first statement that was done. */
const LONGEST_MS = 4000;
/** A round that does nothing for so long is a fault. */
const NOTHING_MS = 60_000;
const POLL_MS = 5;
const LONGEST_START_MS = 3000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '600' },
    store: { type: 'string', default: 'sqlite' },
  },
});
const random = randomOf(Number(values.seed));
const wanted = Number(values.rounds);
const untilMs = Date.now() + Number(values.minutes) * 60_000;
process.stdout.write(`seed ${values.seed}, store ${values.store}\n`);

/** Approved at any time in this run: nothing else may ever run. */
const votes: Votes = { approved: new Set(), denied: new Set() };
/** Those that a request of the round before may still stand for. */
let laterMarks: readonly string[] = [];

async function connect(bench: Bench, target: string): Promise<Connection> {
  const service = await startHoop(['connect', target, '--json'], 'listening', {
    home: bench.home('engineer'),
  });
  return new Connection(service, []);
}

async function playRound(bench: Bench, number: number): Promise<Round> {
  const main = await connect(bench, 'prod-db');
  const counted = await connect(bench, `counted-${number}`);
  const stop = new AbortController();
  const killAtApproval = random.below(3) === 0;
  const approvalsUntilKill = 1 + random.below(4);
  const told = { lines: newTold(), held: newTold(), later: newTold(), counted: newTold() };
  let approvals = 0;
  const approved = Promise.withResolvers<void>();
  const deciding = decideAll(bench.home('dba'), random, votes, {
    until: stop.signal,
    onApprove: () => {
      approvals += 1;
      if (approvals === approvalsUntilKill) approved.resolve();
    },
  });
  const working = Promise.all([
    work(main.url, 'kill_lines', `k${number}.0`, told.lines),
    workAndBeRefused(main.url, `k${number}.1`, told.lines),
    work(main.url, 'kill_held', `h${number}.0`, told.held),
    work(main.url, 'kill_held', `h${number}.1`, told.held),
    workLater(main.url, laterMarks, `l${number}`, told.later),
    work(counted.url, 'kill_counted', `c${number}.0`, told.counted),
    work(counted.url, 'kill_counted', `c${number}.1`, told.counted),
  ]);
  const giveUpMs = Date.now() + NOTHING_MS;
  while (told.lines.done.size === 0 && Date.now() < giveUpMs) await sleep(POLL_MS);
  if (killAtApproval) {
    await Promise.race([approved.promise, sleep(LONGEST_MS * 2)]);
    await sleep(random.below(40));
  } else {
    // Also the first moments: what was sent right before is what is most often lost.
    await sleep(random.below(random.pick([50, LONGEST_MS])));
  }
  bench.demo.gatewayProcess().kill('SIGKILL');
  await bench.demo.gatewayProcess().exited;
  stop.abort();
  await Promise.all([working, deciding, main.service.exited, counted.service.exited]);
  laterMarks = [...told.later.sent].filter((mark) => mark.startsWith(`l${number}.`)).slice(-3);
  return { number, sessions: { main: main.session, counted: counted.session }, told };
}

/** A start that is killed before anybody knows how far it came. @returns after how many ms */
async function killStart(bench: Bench): Promise<number> {
  const { directory, target } = bench.demo;
  const child = spawn(
    process.execPath,
    [LAUNCHER, 'gateway', 'start', '--config', join(directory, 'gateway.yaml'), '--json'],
    {
      env: childEnvironment({
        home: join(directory, 'gateway-home'),
        variables: credentialVariables({ 'prod-db': target }),
      }),
      stdio: 'ignore',
    },
  );
  const afterMs = random.below(LONGEST_START_MS);
  const exited = once(child, 'exit');
  await sleep(afterMs);
  child.kill('SIGKILL');
  await exited;
  return afterMs;
}

const policy = writeKillPolicy(wanted);
const secrets = mkdtempSync(join(tmpdir(), 'hoop-kill-store-'));
try {
  await using store = await openKilledStore(values.store, secrets);
  const signal = new AbortController().signal;
  const { gatewayConfig } = store;
  const demo = await startDemo({
    ...{ gatewayConfig, policy, logIn: logInDemo, note: () => undefined, signal },
  });
  await using bench = new Bench(demo);
  const admin = new pg.Client({ connectionString: demo.target.adminUrl });
  // Its server ends with the demo.
  admin.on('error', () => undefined);
  await admin.connect();
  for (const table of TABLES) {
    await admin.query(
      `CREATE TABLE public.${table} (line text); GRANT ALL ON public.${table} TO ${demo.target.user}`,
    );
  }
  const checks = new KillChecks({ bench, admin, store, votes });
  let rounds = 0;
  for (; rounds < wanted && Date.now() < untilMs; rounds += 1) {
    const logged = (): string =>
      readFileSync(join(demo.directory, 'gateway.log'), 'utf8').slice(-3000);
    try {
      const played = await playRound(bench, rounds);
      await checks.whileDead(played);
      if (random.below(3) === 0) {
        process.stdout.write(`     a start is killed after ${await killStart(bench)} ms\n`);
      }
      await demo.restartGateway();
      await checks.afterRestart(played);
    } catch (error) {
      checks.fail(`round ${rounds} can be played`, `${(error as Error).stack}\n${logged()}`);
      await demo.restartGateway('SIGKILL');
    }
  }
  demo.gatewayProcess().kill('SIGTERM');
  await demo.gatewayProcess().exited;
  await checks.indexOfPast();
  await admin.end();
  process.stdout.write(`${rounds} rounds, ${checks.summary()}\n`);
} finally {
  rmSync(policy, { recursive: true, force: true });
  rmSync(secrets, { recursive: true, force: true });
}
