/**
 * `npm run bench`: the same work through several lanes, in turn, in one run, as ratios. Figures
 * depend on the machine; the ratios are what counts. README.md explains lanes, rows and options.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { type Demo, startDemo } from '../src/demo/demo.ts';
import { startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';
import { findSshd, type OpensshServer, startOpensshServer } from '../src/demo/openssh-server.ts';
import { Watchdog } from '../src/demo/watchdog.ts';
import { prepareBenchData } from './bench-data.ts';
import { writeBenchPolicy } from './bench-policy.ts';
import { bulk } from './bulk.ts';
import { memoryAfterBurst } from './burst.ts';
import { LINK_TITLE } from './delayed-link.ts';
import { farBulk, farStatements } from './far.ts';
import { openFarHome, openFarLanes } from './far-lanes.ts';
import { Figures } from './figures.ts';
import { timeOfEmptyRun, timeToFirstRow } from './first-row.ts';
import { indexFigures } from './index.ts';
import { directUrl, type LaneContext, openHoop, openLanes } from './lanes.ts';
import { memoryOfIdleConnections, memoryWhileStreaming, type Notes } from './memory.ts';
import { type BenchOptions, parseOptions, UnknownOption, type Work } from './options.ts';
import { knowsProcesses, residentKilobytes } from './process-figures.ts';
import { renderJson, renderTable } from './report.ts';
import { connectLatency, firstStatement, latency, pgbench } from './short-statements.ts';
import { openSshLanes } from './ssh-lanes.ts';
import { memoryWithStoppedReader, sshCopy, sshEcho, sshExec, sshParallel } from './ssh-work.ts';
import { renderSummary } from './summary.ts';

/** A gateway's default; each look starts five processes of git. */
const POLICY_POLL_SECONDS = 5;
/** Besides the idle ones: of other lanes, of the gateway itself, of superusers. */
const MORE_CONNECTIONS = 250;
const IN_A_GATEWAY_OF_ITS_OWN: readonly Work[] = ['memory', 'idle', 'burst'];
const FAR: readonly Work[] = ['link', 'link-bulk', 'ssh-link'];
const PEAK = 'gateway, peak RSS over all timed rows (MB)';

const started = performance.now();
const say = (text: string): void => {
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stderr.write(`bench: ${String(seconds).padStart(4)} s  ${text}\n`);
};
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(signal));
}

try {
  await run(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${explain(error)}\n`);
  process.exitCode = 1;
}

function explain(error: unknown): string {
  if (error instanceof UnknownOption) {
    return error.message;
  }
  if (interrupted.signal.aborted) {
    return `stopped by ${String(interrupted.signal.reason)}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function run(options: BenchOptions): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const watchdog = stack.use(new Watchdog());
  const index = options.works.includes('index')
    ? await indexFigures(watchdog, interrupted.signal, say)
    : {};
  if (options.works.every((work) => work === 'index')) {
    const result = { commit: commit(), options, figures: [], notes: index };
    process.stdout.write((options.json ? renderJson : renderTable)(result));
    return;
  }
  const sshServer =
    findSshd() === undefined ? undefined : stack.use(await startOpensshServer({ watchdog }));
  const policy = writeBenchPolicy(sshServer?.hostKeys);
  stack.defer(() => rmSync(policy, { recursive: true, force: true }));
  // Not the demo's own server: that one logs each statement, for the tour.
  const server = stack.use(
    await startEmbeddedPostgres({
      settings: { max_connections: String(options.connections + MORE_CONNECTIONS) },
      watchdog,
      signal: interrupted.signal,
    }),
  );
  const demo = stack.use(
    await startDemo({
      policy,
      postgres: server.url(),
      ...(sshServer === undefined ? {} : { servers: { 'bench-ssh': sshServer } }),
      pollSeconds: POLICY_POLL_SECONDS,
      note: say,
      signal: interrupted.signal,
    }),
  );
  await prepareBenchData(demo);
  const context = { demo, watchdog, say, signal: interrupted.signal };
  const notes = await measureMemory(options, context);
  const figures = new Figures(say);
  const peak = await measureLanes(options, context, figures);
  const ssh = await measureSsh(options, context, figures, sshServer);
  await measureFar(options, context, figures, sshServer);
  const result = {
    commit: commit(),
    options,
    figures: figures.all,
    notes: { ...notes, ...peak, ...ssh, ...index },
  };
  const render = options.json ? renderJson : options.table ? renderSummary : renderTable;
  process.stdout.write(render(result));
}

/** Each with a gateway that has done nothing else: what a process keeps would count as well. */
async function measureMemory(options: BenchOptions, context: LaneContext): Promise<Notes> {
  const measurements: readonly (readonly [Work, (lane: OpenLane) => Promise<Notes>])[] = [
    ['memory', memoryWhileStreaming],
    ['idle', (lane) => memoryOfIdleConnections(lane, options.connections, context.say)],
    ['burst', (lane) => memoryAfterBurst(lane, options.connections, context.say)],
  ];
  let notes: Notes = {};
  for (const [work, measure] of measurements) {
    if (!options.works.includes(work) || !options.lanes.includes('hoop allow')) {
      continue;
    }
    if (!knowsProcesses()) {
      context.say(`MISSING: ${work}, which is taken from Linux's /proc`);
      continue;
    }
    await using stack = new AsyncDisposableStack();
    notes = { ...notes, ...(await measure(await openHoop('hoop allow', context, stack))) };
    await stack.disposeAsync();
    await context.demo.restartGateway();
  }
  return notes;
}

type OpenLane = Awaited<ReturnType<typeof openHoop>>;

/** @returns the gateway's memory after all of it. */
async function measureLanes(
  options: BenchOptions,
  context: LaneContext,
  figures: Figures,
): Promise<Notes> {
  const { demo, say, signal } = context;
  const others = [...IN_A_GATEWAY_OF_ITS_OWN, ...FAR];
  if (options.works.every((work) => others.includes(work) || work.startsWith('ssh-'))) {
    return {};
  }
  await using stack = new AsyncDisposableStack();
  const lanes = await openLanes(options.lanes, context, stack);
  const direct = directUrl(demo).href;
  const short = { options, lanes, figures, say, signal };
  const parts: readonly (readonly [readonly Work[], () => Promise<void>])[] = [
    [['pgbench'], () => pgbench(short)],
    [['latency'], () => latency(short)],
    [
      ['connect'],
      async () => {
        await connectLatency(short);
        await firstStatement(short);
      },
    ],
    [
      ['copy-out', 'select', 'copy-in', 'columns'],
      () => bulk({ options, lanes, figures, directUrl: direct, signal }),
    ],
    [
      ['start'],
      async () => {
        const context = { demo, directUrl: direct, rounds: options.rounds, figures, say };
        await timeOfEmptyRun(context);
        await timeToFirstRow(context);
      },
    ],
  ];
  for (const [works, measure] of parts) {
    signal.throwIfAborted();
    if (works.some((work) => options.works.includes(work))) {
      await measure();
    }
  }
  return knowsProcesses() ? { [PEAK]: peakMegabytes(demo) } : {};
}

/** Commands, files and connections over SSH. */
async function measureSsh(
  options: BenchOptions,
  context: LaneContext,
  figures: Figures,
  server: OpensshServer | undefined,
): Promise<Notes> {
  const wanted = options.works.filter((work) => work.startsWith('ssh-') && !FAR.includes(work));
  if (wanted.length === 0) {
    return {};
  }
  if (server === undefined) {
    context.say('MISSING: all about SSH, sshd is not installed (on Debian: openssh-server)');
    return {};
  }
  await using stack = new AsyncDisposableStack();
  const lanes = await openSshLanes(options.lanes, server, context, stack);
  // A cipher of its own counts where much is encrypted.
  const alike = lanes.filter(({ name }) => name !== 'direct (defaults)');
  const { signal } = context;
  const parts = {
    'ssh-exec': sshExec,
    'ssh-echo': sshEcho,
    'ssh-copy': sshCopy,
    'ssh-parallel': sshParallel,
  };
  for (const [work, measure] of Object.entries(parts)) {
    context.signal.throwIfAborted();
    if (wanted.some((name) => name === work)) {
      const lanesOfWork = work === 'ssh-copy' ? lanes : alike;
      await measure({ options, lanes: lanesOfWork, figures, signal });
    }
  }
  // Awaited here: the lanes are closed when this returns.
  return wanted.includes('ssh-memory') && knowsProcesses()
    ? await memoryWithStoppedReader(lanes)
    : {};
}

/** Over a link with a delay. Last: the gateway is known by another address then. */
async function measureFar(
  options: BenchOptions,
  context: LaneContext,
  figures: Figures,
  server: OpensshServer | undefined,
): Promise<void> {
  const wanted = options.works.filter((work) => FAR.includes(work));
  if (wanted.length === 0) {
    return;
  }
  const { say, signal } = context;
  await using stack = new AsyncDisposableStack();
  const home = await openFarHome(context, stack);
  if (wanted.some((work) => !work.startsWith('ssh-'))) {
    const lanes = await openFarLanes(options.lanes, home, context, stack);
    const far = { options, lanes, figures, signal };
    if (wanted.includes('link')) await farStatements(far);
    if (wanted.includes('link-bulk')) await farBulk(far);
  }
  if (wanted.includes('ssh-link') && server === undefined) {
    say(
      'MISSING: scp over a link, sshd is not installed (on Debian: apt-get install openssh-server)',
    );
  } else if (wanted.includes('ssh-link') && server !== undefined) {
    const alike = options.lanes.filter((name) => name !== 'direct (defaults)');
    const lanes = await openSshLanes(alike, server, context, stack, home);
    await sshCopy({ options, lanes, figures, signal }, LINK_TITLE);
  }
}

function peakMegabytes(demo: Demo): number {
  return Math.round(residentKilobytes(demo.gatewayProcess().processId, 'VmHWM') / 1000);
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  }).trim();
}
