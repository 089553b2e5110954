/** How long one waits for `hoop connect` and `hoop run` with a valid token. */
import { execFileSync } from 'node:child_process';
import type { Demo } from '../src/demo/demo.ts';
import { runHoop } from '../src/demo/hoop-process.ts';
import type { Figures } from './figures.ts';
import { findProgram } from './find-program.ts';
import type { LaneName } from './options.ts';

export interface FirstRowContext {
  readonly demo: Demo;
  readonly directUrl: string;
  readonly rounds: number;
  readonly figures: Figures;
  readonly say: (text: string) => void;
}

const FIGURE = { work: 'start of the command to first row', unit: 'ms', moreIsBetter: false };

const RUN = { work: 'hoop run -- true', unit: 'ms', moreIsBetter: false };
/** Less than a second each: more of them than of what takes long. */
const RUNS_PER_ROUND = 7;

/** `true` alone, and as the command of `hoop run`, which opens no session for it. */
export async function timeOfEmptyRun(context: FirstRowContext): Promise<void> {
  const { demo, rounds, figures } = context;
  const home = demo.homes['engineer'] ?? '';
  for (let round = 0; round < rounds * RUNS_PER_ROUND; round += 1) {
    const start = performance.now();
    execFileSync('true');
    const between = performance.now();
    const run = await runHoop(['run', '--target', 'bench-allow', '--', 'true'], { home });
    const end = performance.now();
    if (run.exitCode !== 0) {
      throw new Error(`hoop run failed: ${run.stderr.slice(-500)}`);
    }
    figures.add(RUN, 'direct', between - start);
    figures.add(RUN, 'hoop allow', end - between);
  }
  figures.tell(RUN.work);
}

/** psql alone, and psql as the command of `hoop connect`. */
export async function timeToFirstRow(context: FirstRowContext): Promise<void> {
  const { demo, directUrl, rounds, figures, say } = context;
  if (!findProgram('psql')) {
    say('MISSING: time to first row, psql is not installed (on Debian: postgresql-client)');
    return;
  }
  const add = (lane: LaneName, since: number, until: number): void =>
    figures.add(FIGURE, lane, until - since);
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    execFileSync('psql', ['-X', '-At', '-c', 'SELECT 1', directUrl], { stdio: 'ignore' });
    add('direct', start, performance.now());
    add('hoop allow', performance.now(), await firstRowThroughHoop(demo));
  }
  figures.tell(FIGURE.work);
}

/** @returns when the row was there, on the clock of `performance.now()`. */
async function firstRowThroughHoop(demo: Demo): Promise<number> {
  let first: number | undefined;
  const command = 'psql -X -At -c "SELECT 1" && echo first row >&2';
  const run = await runHoop(['connect', 'bench-allow', '--', 'sh', '-c', command], {
    home: demo.homes['engineer'] ?? '',
    onStderr: (line) => {
      if (line === 'first row') {
        first ??= performance.now();
      }
    },
  });
  if (first === undefined) {
    throw new Error(`hoop connect gave no row: ${run.stderr.slice(-500)}`);
  }
  return first;
}
