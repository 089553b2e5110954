/** Runs the child of a pass-through command: terminal, signals, exit status. */
import { constants } from 'node:os';
import { execa } from 'execa';
import { HoopError } from '../errors.ts';
import type { Io } from './io.ts';

const NOT_EXECUTABLE = 126;

/** @returns the exit status, 128 + signal number when a signal ended it. */
export async function runChild(
  io: Io,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
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
    // Ctrl-C reaches every process of the terminal by itself; psql makes a cancel of it.
    if (signal !== 'SIGINT' || !io.stdin.isTTY) {
      child.kill(signal);
    }
  });
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
    if (result.exitCode !== undefined) {
      return result.exitCode;
    }
    const number = result.signal ? constants.signals[result.signal] : undefined;
    return number === undefined ? NOT_EXECUTABLE : 128 + number;
  } finally {
    release();
  }
}
