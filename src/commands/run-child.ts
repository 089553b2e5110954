/**
 * Runs the child of a pass-through command as if hoop were not there: its terminal, its signals,
 * Ctrl-Z, and in the end its exit status or the signal that killed it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { execa } from 'execa';
import { HoopError } from '../errors.ts';
import { JOB_SHELL, Job, jobShell } from '../run/terminal/job-shell.ts';
import type { ChildStdio } from '../run/terminal/pseudo-terminal.ts';
import type { ChildTerminal } from './child-terminal.ts';
import type { Io } from './io.ts';
import { isForeground, isStopped } from './terminal-group.ts';

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

/**
 * @param terminal its own, which is recorded; absent: it has ours
 * @returns the exit status, 128 + signal number when a signal ended it, which then ends us too.
 */
export async function runChild(
  io: Io,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  terminal?: ChildTerminal,
): Promise<number> {
  if (terminal !== undefined) {
    return terminal.run(async () => startJob(io, command, env, terminal));
  }
  const [program = '', ...args] = command;
  const child = execa(program, args, {
    stdio: 'inherit',
    cwd: io.cwd,
    env,
    extendEnv: false,
    reject: false,
    // A command that closes with its terminal decides itself what it does about signals.
    cleanup: false,
  });
  const release = io.onSignal((signal) => {
    if (!hasItAlready(io, signal)) {
      child.kill(signal);
    }
  });
  const looking = lookForStop(io, child);
  try {
    const result = await child;
    if (result.code === 'ENOENT' || result.code === 'EACCES') {
      throw new HoopError('HOOP_MISSING_PROGRAM', `cannot run "${program}"`, {
        detail:
          result.code === 'ENOENT'
            ? 'There is no such program on PATH.'
            : 'It is not executable, or a directory on PATH may not be read.',
      });
    }
    return result.exitCode ?? killedBy(io, result.signal);
  } finally {
    clearInterval(looking);
    release();
  }
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
  return new Job({ pid, orders, reports, ended });
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
