/** One-row statements and logins: what a tunnel adds to each. */
import { cpuName, type Figures } from './figures.ts';
import type { Lane } from './lanes.ts';
import type { BenchOptions } from './options.ts';
import { findPgbench, runPgbench } from './pgbench.ts';
import { cpuSeconds, knowsProcesses, settle } from './process-figures.ts';
import { RawClient } from './raw-client.ts';
import { percentile } from './statistics.ts';

const QUERIES = 2000;
const LOGINS = 60;
/** Of a percentile: on a busy machine the one figure that is not about what else it does. */
const FASTEST = 0;
const FIRST = 'SELECT id, email, card_number FROM bench_people LIMIT 1';
/** Not counted at the start of each series: caches fill, code is compiled. */
const WARM_UP_SHARE = 0.1;
/** Run once in each lane and not counted: V8 takes some ten seconds to compile what is used most. */
const WARM_UP_SECONDS = 10;
const WARM_UP_CLIENTS = 8;

export interface ShortContext {
  readonly options: BenchOptions;
  readonly lanes: readonly Lane[];
  readonly figures: Figures;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

export async function pgbench(context: ShortContext): Promise<void> {
  const { options, lanes, figures, say, signal } = context;
  const program = findPgbench();
  if (!program) {
    say(
      'MISSING: all rows of pgbench, it is not installed (on Debian: apt-get install postgresql-contrib)',
    );
    return;
  }
  for (const mode of ['simple', 'prepared'] as const) {
    for (const { url } of lanes) {
      signal.throwIfAborted();
      await runPgbench(program, { url, mode, clients: WARM_UP_CLIENTS, seconds: WARM_UP_SECONDS });
    }
    for (const clients of options.clients) {
      const work = `pgbench -S ${mode}, ${clients} client${clients > 1 ? 's' : ''}`;
      for (let round = 0; round < options.rounds; round += 1) {
        for (const lane of lanes) {
          signal.throwIfAborted();
          const run = { url: lane.url, mode, clients, seconds: options.seconds };
          const before = ends(lane).map(([, processes]) => cpuSeconds(processes));
          const { tps, statements } = await runPgbench(program, run);
          figures.add({ work, unit: 'tps', moreIsBetter: true }, lane.name, tps);
          await rest(lane);
          for (const [index, [end, processes]] of ends(lane).entries()) {
            const spent = cpuSeconds(processes) - (before[index] ?? 0);
            const what = { work: cpuName(work, end), unit: 's/10k', moreIsBetter: false };
            figures.add(what, lane.name, (spent * 10_000) / statements);
          }
        }
      }
      figures.tell(work, ...['client end', 'server end'].map((end) => cpuName(work, end)));
    }
  }
}

/** Round trip of one SELECT that finds one row, one after the other on one connection. */
export async function latency(context: ShortContext): Promise<void> {
  await series('one-row query', 'µs', [50, 99], context, async (lane) => {
    const client = await RawClient.connect(lane.url);
    const times: number[] = [];
    for (let i = 0; i < QUERIES; i += 1) {
      const start = performance.now();
      await client.query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${1 + (i % 1000)}`);
      times.push((performance.now() - start) * 1000);
    }
    client.close();
    return times;
  });
}

/**
 * From the first packet to ReadyForQuery, SCRAM included, on a local port that is there already. CPU
 * time counts the end of the connection as well.
 */
export async function connectLatency(context: ShortContext): Promise<void> {
  await series('login on an open port', 'ms', [FASTEST, 50], context, async (lane) => {
    const before = ends(lane).map(([, processes]) => cpuSeconds(processes));
    const times: number[] = [];
    for (let i = 0; i < LOGINS; i += 1) {
      const start = performance.now();
      const client = await RawClient.connect(lane.url);
      times.push(performance.now() - start);
      client.close();
    }
    await rest(lane);
    for (const [index, [end, processes]] of ends(lane).entries()) {
      const work = cpuName('login on an open port', end);
      const spent = cpuSeconds(processes) - (before[index] ?? 0);
      const each = (spent * 1000) / LOGINS;
      context.figures.add({ work, unit: 'ms', moreIsBetter: false }, lane.name, each);
    }
    return times;
  });
  context.figures.tell(
    ...['client end', 'server end'].map((end) => cpuName('login on an open port', end)),
  );
}

/** Of a connection that has asked for nothing yet, with two masked columns in the result. */
export async function firstStatement(context: ShortContext): Promise<void> {
  await series('first statement of a connection', 'ms', [50], context, async (lane) => {
    const times: number[] = [];
    for (let i = 0; i < LOGINS; i += 1) {
      const client = await RawClient.connect(lane.url);
      const start = performance.now();
      await client.query(FIRST);
      times.push(performance.now() - start);
      client.close();
    }
    return times;
  });
}

async function series(
  name: string,
  unit: string,
  percentiles: readonly number[],
  { options, lanes, figures, signal }: ShortContext,
  run: (lane: Lane) => Promise<readonly number[]>,
): Promise<void> {
  const works = percentiles.map((p) => ({
    p,
    work: `${name}, ${p === FASTEST ? 'the fastest' : `p${p}`}`,
  }));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const lane of lanes) {
      signal.throwIfAborted();
      const all = await run(lane);
      const times = all.slice(Math.ceil(all.length * WARM_UP_SHARE));
      for (const { p, work } of works) {
        figures.add({ work, unit, moreIsBetter: false }, lane.name, percentile(times, p));
      }
      await rest(lane);
    }
  }
  figures.tell(...works.map(({ work }) => work));
}

function ends(lane: Lane): readonly (readonly [string, readonly number[]])[] {
  const named = [
    ['client end', lane.clientEnd],
    ['server end', lane.serverEnd],
  ] as const;
  return named.filter(([, processes]) => knowsProcesses() && processes.length > 0);
}

/** The next lane must not pay for what this one has left to do. */
async function rest(lane: Lane): Promise<void> {
  const processes = [...lane.clientEnd, ...lane.serverEnd];
  if (knowsProcesses() && processes.length > 0) {
    await settle(processes);
  }
}
