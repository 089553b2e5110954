/**
 * Runs the child of a pass-through command as if hoop were not there: its terminal, its signals,
 * Ctrl-Z, and in the end its exit status or the signal that killed it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { JOB_SHELL, Job, jobShell } from '../../run/terminal/job-shell.ts';
import type { ChildStdio } from '../../run/terminal/pseudo-terminal.ts';
import type { ChildTerminal } from '../child/child-terminal.ts';
import { isForeground, isStopped } from '../child/terminal-group.ts';
import type { Io } from '../io.ts';

const NOT_EXECUTABLE = 126;
const STDERR = 2;
/** How often it is looked whether the child has stopped itself, as editors and pagers do. */
const LOOK_EVERY_MS = 250;
/** What a terminal sends to each process of its foreground group, the child among them. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGINT',
  'SIGQUIT',
  'SIGTSTP',
  'SIGCONT',
]);
/** Those that write a core of the process: ours would hold keys, and show nothing of the child. */
const WITH_CORE: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGSYS',
]);

/** Calls what starts a child. */
export type Within = <T>(start: () => T) => T;

/**
 * @param terminal its own, which is recorded; absent: it has ours
 * @param within what it starts is to be found again
 * @returns the exit status, 128 + signal number when a signal ended it, which then ends us too.
 */
export async function runChild(
  io: Io,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  terminal?: ChildTerminal,
  within: Within = (start) => start(),
): Promise<number> {
  if (terminal !== undefined) {
    return terminal.run(io, async () => within(() => startJob(io, command, env, terminal)));
  }
  const [program = '', ...args] = command;
  const started = Promise.withResolvers<Started>();
  // Before it starts: a signal that comes right then is kept for it, and would else end us alone.
  const release = io.onSignal((signal) => {
    if (!hasItAlready(io, signal)) {
      void started.promise.then(({ kill }) => kill(signal));
    }
  });
  let looking: NodeJS.Timeout | undefined;
  try {
    // The call starts it: nothing is awaited before.
    const child = await within(() =>
      startProgram(program, args, { stdio: 'inherit', cwd: io.cwd, env }),
    );
    started.resolve(child);
    looking = lookForStop(io, child);
    const { code, signal } = await child.ended;
    return code ?? killedBy(io, signal ?? undefined);
  } finally {
    clearInterval(looking);
    release();
  }
}

interface Started {
  readonly pid: number | undefined;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Windows has programs that are scripts, and a library that knows how they are started. */
async function startProgram(
  program: string,
  args: readonly string[],
  options: { readonly stdio: 'inherit'; readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<Started> {
  if (process.platform !== 'win32') {
    const child = spawn(program, args, options);
    const ended = once(child, 'exit').then(
      () => ({ code: child.exitCode, signal: child.signalCode }),
      (error: unknown) => {
        throw notRun(program, error);
      },
    );
    return { pid: child.pid, kill: (signal) => void child.kill(signal), ended };
  }
  const { execa } = await import('execa');
  // A command that closes with its terminal decides itself what it does about signals.
  const child = execa(program, args, {
    ...options,
    extendEnv: false,
    reject: false,
    cleanup: false,
  });
  const ended = child.then((result) => {
    if (result.code !== undefined) {
      throw notRun(program, result);
    }
    return { code: result.exitCode ?? null, signal: result.signal ?? null };
  });
  return { pid: child.pid, kill: (signal) => void child.kill(signal), ended };
}

function notRun(program: string, error: unknown): unknown {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'EACCES'
    ? new HoopError('HOOP_MISSING_PROGRAM', `cannot run "${program}"`, {
        detail:
          code === 'ENOENT'
            ? 'There is no such program on PATH.'
            : 'It is not executable, or a directory on PATH may not be read.',
      })
    : error;
}

/** Its shell leads a session on the terminal that it is given. */
function startJob(
  io: Io,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  { device, settings }: ChildTerminal,
): Job {
  const hasErrors = io.stderr.isTTY !== true;
  const [shell = '', ...args] = jobShell(command, { terminal: device.path, settings, hasErrors });
  const stdio: ChildStdio[] = [];
  stdio[JOB_SHELL.orders] = 'pipe';
  stdio[JOB_SHELL.terminal] = device.device;
  stdio[JOB_SHELL.reports] = 'pipe';
  if (hasErrors) {
    stdio[JOB_SHELL.errors] = STDERR;
  }
  const child = spawn(shell, args, {
    cwd: io.cwd,
    env,
    detached: true,
    stdio: device.cover(stdio),
  });
  const { pid, stdin: orders, stderr: reports } = child;
  if (orders === null || reports === null) {
    throw new TypeError('a child process has no pipes');
  }
  // A shell passes on by which signal its job has ended: by dying of it, or as a status.
  const ended = once(child, 'exit').then(() =>
    child.signalCode === null ? (child.exitCode ?? 0) : 128 + constants.signals[child.signalCode],
  );
  return new Job({ pid, orders, reports, ended, kill: () => void child.kill('SIGKILL') });
}

/** Ctrl-C reaches every process of the terminal by itself; psql makes a cancel of it. */
export function hasItAlready(io: Io, signal: NodeJS.Signals): boolean {
  return FROM_TERMINAL.has(signal) && isForeground(io);
}

function killedBy(io: Io, signal: NodeJS.Signals | undefined): number {
  if (signal === undefined) {
    return NOT_EXECUTABLE;
  }
  if (!WITH_CORE.has(signal)) {
    io.endBySignal(signal);
  }
  return 128 + constants.signals[signal];
}

/**
 * vi and less stop themselves, not us: without this the shell would wait for us, and the terminal
 * would belong to nobody. `fg` lets the whole group go on.
 */
export function lookForStop(
  io: Io,
  child: { readonly pid?: number | undefined },
): NodeJS.Timeout | undefined {
  const { pid } = child;
  if (pid === undefined || !isForeground(io)) {
    return undefined;
  }
  return setInterval(() => {
    if (isStopped(pid) && isForeground(io)) {
      io.suspend();
    }
  }, LOOK_EVERY_MS);
}
