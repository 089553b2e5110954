/** For tests that look at the commands and run none: nobody listens, and nothing ends. */
import { PassThrough, type Writable } from 'node:stream';
import type { Io } from '../../src/commands/io.ts';

/** @param output both stdout and stderr */
export function silentIo(output: Writable = new PassThrough()): Io {
  return {
    stdout: output,
    stderr: output,
    stdin: new PassThrough(),
    env: {},
    cwd: '/',
    signal: new AbortController().signal,
    color: { stdout: false, stderr: false },
    quiet: false,
    note: () => undefined,
    onSignal: () => () => undefined,
    onHangup: () => () => undefined,
    setExitCode: () => undefined,
    self: ['hoop'],
    setRaw: () => undefined,
    suspend: () => undefined,
    endBySignal: () => undefined,
  };
}
