/** One agent, of one version, in one mode: what it does, and what came of it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import type { Bench } from '../../test/e2e/demo-bench.ts';
import { type DrivenAgent, writeFilesOf } from './agents.ts';
import type { Mode, Row } from './report.ts';
import { type Call, openStubModel, type Step } from './stub-model.ts';
import { runInTerminal } from './terminal.ts';

const WITHIN_MS = 300_000;
/** So long a person takes who sits there; the limits of the agents' tools are minutes. */
const HELD_MS = 20_000;
const LOOK_EVERY_MS = 1000;
const PATIENT_MS = 1_800_000;
/** In the mode `hold`. A statement has to be there by then. */
const IMPATIENT_MS = 20_000;
const DELETE = 'DELETE FROM public.orders WHERE id = -1';
/** `HELD-42` stands in no statement: only what ran says it. */
const SHELL = [
  "psql -XAtc 'SELECT 40 + 2 AS allowed'",
  "psql -XAtc 'TRUNCATE public.customers'",
  `psql -XAtc '${DELETE}' && echo HELD-"42"`,
];
const MCP: readonly Call[] = [
  'SELECT 40 + 2 AS allowed',
  'TRUNCATE public.customers',
  `WITH gone AS (${DELETE} RETURNING id) SELECT 'HELD-' || (42 + count(*)) FROM gone`,
].map((sql) => ({ tool: 'query', input: { sql } }));

export interface Driven {
  readonly row: Row;
  /** For a person who looks what happened. */
  readonly output: string;
  readonly results: string;
}

export interface Driving {
  readonly version: string;
  readonly mode: Mode;
  readonly program: string;
  /** So many times as long an agent has for each thing; 1 on a machine that does nothing else. */
  readonly slow: number;
}

export async function drive(
  bench: Bench,
  agent: DrivenAgent,
  { version, mode, program, slow }: Driving,
): Promise<Driven> {
  const home = mkdtempSync(join(homedir(), '.hoop-agents-'));
  const project = join(home, 'project');
  mkdirSync(project);
  const mark = `sold-${agent.name}-${version}-${mode}`;
  const isHold = mode === 'hold';
  const isMcp = mode === 'mcp' || (isHold && agent.impatient?.tool === 'mcp');
  const script = isMcp ? MCP : SHELL;
  const approved = Promise.withResolvers<void>();
  const steps = isHold ? holdScript(script, approved.promise) : script;
  await using model = await openStubModel(agent.says === undefined ? steps : []);
  const url = `http://127.0.0.1:${model.port}`;
  const server = [process.execPath, LAUNCHER, 'mcp', '--target', 'prod-db'];
  const patienceMs = isHold ? IMPATIENT_MS * slow : PATIENT_MS;
  const place = { url, home, project, patienceMs, ...(isMcp ? { server } : {}) };
  writeFilesOf(agent, place);
  const task = agent.says?.(`: ${mark}; ${SHELL.join('; ')}`) ?? `${mark}: count what we sold`;
  const variables = {
    ...agent.variables(url),
    ...(isHold ? agent.impatient?.variables?.(patienceMs) : {}),
  };
  const flags = [
    ...['run', '--target', 'prod-db', '--fence', '--fence-allow', `127.0.0.1:${model.port}`],
    ...['--fence-show', dirname(dirname(program))],
    ...Object.keys(variables).flatMap((name) => ['--env', name]),
  ];
  const words = mode === 'terminal' ? agent.terminal(place) : agent.headless(task, place);
  const command = [process.execPath, LAUNCHER, ...flags, '--', program, ...words];
  const env = {
    ...childEnvironment({ home: bench.home('engineer'), variables }),
    HOME: home,
    PATH: `${dirname(program)}:${process.env['PATH']}`,
  };
  const over = new AbortController();
  const approving = approve(bench, {
    signal: over.signal,
    // What the agent waits for it has not given up yet.
    isDue: (sinceMs) => (isHold ? model.answers.length === 1 : Date.now() - sinceMs > HELD_MS),
    onApproved: approved.resolve,
  });
  const { status, output, screen } =
    mode === 'terminal'
      ? await inTerminal()
      : { ...(await headless(command, project, env, WITHIN_MS * slow)), screen: undefined };
  over.abort();
  const requests = await approving;
  // An agent whose tools the model does not call has shown what came of them.
  const results = agent.says === undefined ? model.results : output;
  const why = await bench.hoop('engineer', 'sessions', 'why', 'last', '1', '--json');
  const left = leftovers(home);
  rmSync(home, { recursive: true, force: true });
  const row: Row = {
    agent: agent.name,
    version,
    mode,
    run: new Date().toISOString().slice(0, 10),
    starts: isHold ? requests.seen > 0 : /\b42\b/.test(results),
    prompt: why.stdout.includes(mark),
    ...(isHold ? {} : { denial: /denied|not allow/.test(results) && /hint/i.test(results) }),
    held: isHold
      ? model.answers.map((answer) => answer.includes('HELD-42')).join() === 'false,true,false' &&
        requests.seen === 2 &&
        requests.approved === 1
      : requests.approved > 0 && results.includes('HELD-42'),
    ended: status === 0 && left === 0,
    ...(screen === undefined ? {} : { screen }),
  };
  return { row, output: `${output}\nstatus ${status}, ${left} left\n`, results };

  async function inTerminal(): Promise<{
    status: number | undefined;
    output: string;
    screen: boolean;
  }> {
    const { meanwhile, screens, ...rest } = await runInTerminal({
      command,
      cwd: project,
      env,
      task,
      seen: mark,
      isSent: () => agent.says !== undefined || JSON.stringify(model.requests).includes(mark),
      isDone: (shown) => /STUB (DONE|HAS NO TOOL)/.test(shown) || shown.includes('HELD-42'),
      withinMs: WITHIN_MS * slow,
      slow,
    });
    const lines = (shown: string): number => (shown.match(/^hoop: /gm) ?? []).length;
    const before = Math.max(0, ...screens.slice(0, screens.indexOf(meanwhile[0] ?? '')).map(lines));
    return {
      ...rest,
      output: screens.join(`\n${'~'.repeat(60)}\n`),
      screen: meanwhile.length > 0 && meanwhile.every((shown) => lines(shown) <= before),
    };
  }
}

async function headless(
  [program = '', ...words]: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  withinMs: number,
): Promise<{ status: number | undefined; output: string }> {
  const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output += String(bytes);
    });
  }
  const deadline = setTimeout(() => child.kill('SIGKILL'), withinMs);
  const [status] = await once(child, 'exit');
  clearTimeout(deadline);
  return { status: status ?? undefined, output };
}

/** The held statement: given up, run with the approval that came afterwards, and held again. */
function holdScript(script: readonly Call[], approved: Promise<void>): readonly Step[] {
  const held = script.at(-1) ?? '';
  return [held, { after: approved, call: held }, held];
}

interface Approving {
  readonly signal: AbortSignal;
  /** @param sinceMs when the request was first seen, since the epoch */
  readonly isDue: (sinceMs: number) => boolean;
  readonly onApproved: () => void;
}

/** Another person approves what waits, when it is due. @returns how many requests there were */
async function approve(
  bench: Bench,
  { signal, isDue, onApproved }: Approving,
): Promise<{ readonly seen: number; readonly approved: number }> {
  const seen = new Map<string, number>();
  let approved = 0;
  for await (const _ of setInterval(LOOK_EVERY_MS)) {
    if (signal.aborted) {
      break;
    }
    const list = await bench.hoop('dba', 'approvals', 'list', '--json');
    const found: unknown = list.stdout === '' ? {} : JSON.parse(list.stdout);
    for (const id of idsIn(found)) {
      const since = seen.get(id) ?? Date.now();
      seen.set(id, since);
      if (isDue(since)) {
        const { exitCode } = await bench.hoop('dba', 'approvals', 'approve', id);
        if (exitCode === 0) {
          approved += 1;
          onApproved();
        }
      }
    }
  }
  return { seen: seen.size, approved };
}

function idsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || !('approvals' in value)) {
    return [];
  }
  const { approvals } = value;
  return Array.isArray(approvals) ? approvals.map((one: { id: string }) => one.id) : [];
}

/** Processes that still have the home of this run in their environment. */
function leftovers(home: string): number {
  const found = execFileSync('sh', [
    '-c',
    `grep -lz "HOME=${home}" /proc/[0-9]*/environ 2>/dev/null | wc -l`,
  ]);
  return Number(String(found).trim());
}
