/**
 * kill -9 of a gateway at random moments: under statements, commands on a server, approvals, refusals
 * and a budget of rows, and while it recovers from the kill before. With PostgreSQL a second node of
 * the same store works on meanwhile, and every other round takes over what the first has left. What must hold
 * is in kill-checks.ts. A round in which nothing was done does not count.
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
import { KillNeighbour, type NeighbourWork } from './kill-neighbour.ts';
import { KILL_SERVER, KillServer } from './kill-server.ts';
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

async function playRound(bench: Bench, server: KillServer, number: number): Promise<Round> {
  const main = await connect(bench, 'prod-db');
  const counted = await connect(bench, `counted-${number}`);
  const shell = await connect(bench, KILL_SERVER);
  const stop = new AbortController();
  const killAtApproval = random.below(3) === 0;
  const approvalsUntilKill = 1 + random.below(4);
  const told = {
    lines: newTold(),
    held: newTold(),
    later: newTold(),
    counted: newTold(),
    server: newTold(),
  };
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
    server.work(shell, `s${number}`, told.server),
  ]);
  const giveUpMs = Date.now() + NOTHING_MS;
  const isIdle = (): boolean => told.lines.done.size === 0 || told.server.done.size === 0;
  while (isIdle() && Date.now() < giveUpMs) await sleep(POLL_MS);
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
  const gone = [main, counted, shell].map(({ service }) => {
    // The ports would stay; the recordings go with a later session.
    service.kill('SIGINT');
    return service.exited;
  });
  await Promise.all([working, deciding, ...gone]);
  laterMarks = [...told.later.sent].filter((mark) => mark.startsWith(`l${number}.`)).slice(-3);
  const sessions = { main: main.session, counted: counted.session, server: shell.session };
  return { number, sessions, told };
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

/** What the other node has lived through, and done. */
async function lookAtNeighbour(
  checks: KillChecks,
  neighbour: KillNeighbour,
  work: NeighbourWork,
  number: number,
): Promise<void> {
  const check = checks.check.bind(checks);
  await neighbour.stillLives(check, work);
  await work.end();
  await neighbour.ended(work, check, await checks.rows('kill_lines', `n${number}.%`));
  process.stdout.write(`     the other node: ${work.told.done.size} statements, none lost\n`);
}

const secrets = mkdtempSync(join(tmpdir(), 'hoop-kill-store-'));
try {
  await using store = await openKilledStore(values.store, secrets);
  await using server = await KillServer.start();
  const policy = writeKillPolicy(wanted, server.policy());
  using stack = new DisposableStack();
  stack.defer(() => rmSync(policy, { recursive: true, force: true }));
  const signal = new AbortController().signal;
  const { gatewayConfig } = store;
  const servers = { [KILL_SERVER]: server.server };
  const demo = await startDemo({
    ...{ gatewayConfig, policy, servers, logIn: logInDemo, note: () => undefined, signal },
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
  await using neighbour =
    values.store === 'postgres' ? await KillNeighbour.start(bench, admin, store) : undefined;
  const checks = new KillChecks({ bench, admin, server, store, votes });
  let rounds = 0;
  let takeovers = 0;
  for (; rounds < wanted && Date.now() < untilMs; rounds += 1) {
    const logged = (): string =>
      readFileSync(join(demo.directory, 'gateway.log'), 'utf8').slice(-3000);
    const other = await neighbour?.work(`n${rounds}`);
    try {
      const played = await playRound(bench, server, rounds);
      await checks.whileDead(played);
      if (neighbour !== undefined && other !== undefined && random.below(2) === 0) {
        await neighbour.takeOver(checks.check.bind(checks), other);
        takeovers += 1;
        process.stdout.write('     taken over\n');
      }
      if (random.below(3) === 0) {
        process.stdout.write(`     a start is killed after ${await killStart(bench)} ms\n`);
      }
      await demo.restartGateway();
      if (neighbour !== undefined && other !== undefined) {
        await lookAtNeighbour(checks, neighbour, other, rounds);
      }
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
  process.stdout.write(`${rounds} rounds, ${takeovers} takeovers, ${checks.summary()}\n`);
} finally {
  rmSync(secrets, { recursive: true, force: true });
}
