/** Programs that a test starts, types to, and waits for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type CommandResult, runSessions } from '../cli/run-command.ts';
import type { Bench } from './demo-bench.ts';

export interface LiveProgram {
  readonly child: ChildProcess;
  /** Exit status and signal. */
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>;
  readonly output: () => string;
  readonly errors: () => string;
  readonly type: (text: string) => void;
  /** Resolves when its output has it. */
  readonly sees: (text: string | RegExp) => Promise<void>;
}

export interface LiveOptions {
  readonly home: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** In a session of its own: without a terminal, what is sent to hoop is passed on. */
export function startProgram(
  program: string,
  args: readonly string[],
  options: LiveOptions,
): LiveProgram {
  const child = spawn(program, args, {
    env: childEnvironment(options),
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // What a test leaves when it fails: a terminal that goes takes along what runs on it.
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  // One that is killed has closed it.
  child.stdin.on('error', () => undefined);
  // What a program of it leaves behind keeps its output open.
  const ended = once(child, 'exit').then(
    ([code, signal]): readonly [number | null, NodeJS.Signals | null] => [code, signal],
  );
  return {
    child,
    ended,
    output: () => output,
    errors: () => errors,
    type: (text) => void child.stdin.write(text),
    sees: (text) => expect.poll(() => output).toMatch(text),
  };
}

/** `hoop run -- COMMAND`. */
export function startRun(bench: Bench, ...command: string[]): LiveProgram {
  const args = [LAUNCHER, 'run', '--target', 'prod-db', '--', ...command];
  return startProgram(process.execPath, args, { home: bench.home('engineer') });
}

/** A shell on a terminal of 80×24, at its prompt; `hoop` in it is this one. */
export async function startShell(options: LiveOptions): Promise<LiveProgram> {
  // What stands in between would die of Ctrl-C.
  const shell = 'stty rows 24 cols 80; exec bash --norc --noediting -i';
  const live = startProgram('script', ['-qfec', shell, '/dev/null'], {
    ...options,
    variables: { TERM: 'xterm-256color', ...options.variables },
  });
  live.type(`alias hoop="'${process.execPath}' '${LAUNCHER}'"; PS1='ready> '\n`);
  await live.sees(/ready> $/);
  return live;
}

/** The newest session of the engineer. */
export async function newestSession(bench: Bench): Promise<string> {
  const [session] = await bench.sessions('engineer');
  return String(session?.['id']);
}

/** `sessions verify` of what the gateway has, without the gateway. */
export async function verifyOffline(
  bench: Bench,
  directory: string,
  session: string,
): Promise<CommandResult> {
  const file = join(directory, `${session}.hoop`);
  writeFileSync(file, await bench.bundle('engineer', session));
  const env = { HOOP_HOME: bench.home('engineer'), HOOP_GATEWAY: 'https://127.0.0.1:9' };
  return runSessions(['verify', file], { env });
}
