/** What the steps of the tour share: the screen, commands as a person types them, checks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TARGET, type Demo } from './demo.ts';
import { type HoopRun, runHoop } from './hoop-process.ts';
import type { SqlClient } from './sql-client.ts';

/** A commit is in force within 5 s. This is no measure of it: a busy machine takes a while. */
const DEADLINE_MS = 60_000;

/** What a step works with: the demo, and a screen that shows commands and their output. */
export interface Tour {
  readonly demo: Demo;
  readonly client: SqlClient;
  readonly signal: AbortSignal;
  /** Columns for the output of commands; undefined: all that it takes. */
  readonly width: number | undefined;
  /** Shows a command line as a user would type it. */
  command(text: string): void;
  /** Shows output of a command, as it was. */
  output(text: string): void;
  /** Shows a conclusion in one line. */
  finding(text: string): void;
  /** What earlier steps leave for later ones. */
  readonly notes: Map<string, string>;
}

export class TourFailure extends Error {}

export async function hoop(
  tour: Tour,
  args: readonly string[],
  options: {
    readonly show?: boolean;
    readonly mayFail?: boolean;
    /** Identity; the engineer unless given. */
    readonly as?: string;
  } = {},
): Promise<HoopRun> {
  const show = options.show ?? true;
  if (show) {
    const who = options.as === undefined ? '' : `   # as the ${options.as}`;
    tour.command(foldOptions(`hoop ${args.map(quote).join(' ')}${who}`, tour.width));
  }
  const run = await runHoop(args, { ...runOf(tour), home: homeOf(tour, options.as) });
  if (show) {
    tour.output(run.output);
  }
  if (run.exitCode !== 0 && !options.mayFail) {
    throw new TourFailure(
      `"hoop ${args.join(' ')}" ended with ${run.exitCode}: ${run.stderr.trim()}`,
    );
  }
  return run;
}

/** Through a session of its own, with the SQL client of this machine. */
export async function query(
  tour: Tour,
  statements: readonly string[],
  /** Takes the output as it comes; hoop's own notes are left out then. */
  onOutput?: (text: string) => void,
): Promise<HoopRun> {
  const quiet = onOutput === undefined ? [] : ['--quiet'];
  const args = [
    ...quiet,
    'connect',
    DEMO_TARGET,
    '--reason',
    'demo tour',
    '--',
    ...tour.client.command(statements),
  ];
  const shown = statements.map((text) => `-c ${quote(text)}`).join(' \\\n       ');
  const hoopQuiet = ['hoop', ...quiet].join(' ');
  tour.command(
    `${hoopQuiet} connect ${DEMO_TARGET} --reason "demo tour" -- psql \\\n       ${shown}`,
  );
  const home = homeOf(tour);
  if (onOutput !== undefined) {
    return runHoop(args, { ...runOf(tour), home, onOutput });
  }
  const run = await runHoop(args, { ...runOf(tour), home });
  tour.output(run.output);
  return run;
}

export async function until(
  tour: Tour,
  test: () => Promise<boolean>,
  failure: string,
  everyMs = 250,
): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await test())) {
    if (performance.now() > deadline) {
      throw new TourFailure(failure);
    }
    await sleep(everyMs, undefined, { signal: tour.signal });
  }
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

export function expectText(text: string, part: string, failure: string): void {
  // On a terminal long lines are broken.
  if (!text.replace(/\s+/g, ' ').includes(part)) {
    throw new TourFailure(`${failure} ("${part}" is not in the output)`);
  }
}

/** What an earlier step has left. */
export function note(tour: Tour, name: string): string {
  const value = tour.notes.get(name);
  if (value === undefined) {
    throw new TourFailure(`an earlier step left no ${name}`);
  }
  return value;
}

export function homeOf(tour: Tour, identity = 'engineer'): string {
  return tour.demo.homes[identity] ?? '';
}

function quote(text: string): string {
  return /^[A-Za-z0-9_./:=@-]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}

/** A long command line goes on before its first option, so that it can be pasted as it stands. */
function foldOptions(text: string, width: number | undefined): string {
  const prompt = '$ '.length;
  return width !== undefined && text.length + prompt > width
    ? text.replace(' --', ' \\\n       --')
    : text;
}

/** Output that is shown is made for the screen that it is shown on. */
function runOf({ signal, width }: Tour) {
  const variables = width === undefined ? {} : { HOOP_COLUMNS: String(width) };
  return { signal, variables };
}
