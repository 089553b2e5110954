/** Runs a command as main.ts would, without a process: what it printed and what it threw. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { Command } from 'commander';
import type { Io } from '../../src/commands/io.ts';

export interface CommandRun {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** Every line on stderr as it comes. */
  readonly onStderr?: (line: string) => void;
  /** What a command prints before it throws would else be lost. */
  readonly onStdout?: (text: string) => void;
}

export async function runCommand(
  create: (io: Io) => Command,
  args: readonly string[],
  options: RunOptions,
): Promise<CommandRun> {
  const out = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _encoding, done) {
        out[name] += String(chunk);
        if (name === 'stderr') {
          options.onStderr?.(String(chunk));
        } else {
          options.onStdout?.(String(chunk));
        }
        done();
      },
    });
  const stderr = sink('stderr');
  const io: Io = {
    stdout: sink('stdout'),
    stderr,
    stdin: new PassThrough(),
    env: options.env,
    cwd: process.cwd(),
    signal: options.signal ?? new AbortController().signal,
    color: { stdout: false, stderr: false },
    quiet: false,
    note: (text) => stderr.write(`hoop: ${text}\n`),
    onSignal: () => () => undefined,
    onHangup: () => () => undefined,
    self: ['hoop'],
    setRaw: () => undefined,
    suspend: () => undefined,
    endBySignal: () => undefined,
    setExitCode: () => undefined,
  };
  await create(io).exitOverride().parseAsync(args, { from: 'user' });
  return out;
}

export interface TemporaryHome extends Disposable {
  readonly path: string;
  /** HOOP_HOME, and tokens in the file. */
  readonly env: NodeJS.ProcessEnv;
}

export function temporaryHome(): TemporaryHome {
  const path = mkdtempSync(join(tmpdir(), 'hoop-test-home-'));
  return {
    path,
    env: { ...process.env, HOOP_HOME: path, HOOP_TOKEN_STORE: 'file' },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
