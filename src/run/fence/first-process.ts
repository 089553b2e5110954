/**
 * Process 1 of a fence: when it ends, the kernel ends all that is in its namespace. It is bwrap's, and
 * asks the kernel to end when bwrap does. But the command may trace it and write its memory, and so
 * hold it, or make it forget whom it was to end with. So it is ended from here, which nobody inside
 * can refuse: with the run, when the command is over and it is not, and when hoop is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../error-code.ts';
import { childOf } from '../child-of.ts';
import { isOver, processStat, STAT } from '../process-stat.ts';
import type { PseudoTerminal } from '../terminal/pseudo-terminal.ts';

const GONE_LOOK_MS = 5;
const OVER_LOOK_MS = 500;
/** It has this many looks to end after the command: so long it takes on no machine that does anything. */
const MAX_LOOKS = 4;

/**
 * `$1` is the process, `$2` its start, `$3` its cgroup or nothing. A line says that all is over; the end of input without one,
 * that hoop was killed. Its number may be somebody else's by then. The name of its program, which it
 * chooses, ends with the last bracket.
 */
const GUARDIAN = `
if read -r said; then exit 0; fi
if stat=$(cat "/proc/$1/stat"); then
  set -f -- "$1" "$2" "$3" \${stat##*) }
  if [ "\${23}" = "$2" ]; then kill -9 "$1"; fi
fi
if [ -n "$3" ]; then sleep 1; rmdir "$3"; fi
`;

export class FirstProcess {
  readonly pid: number;
  readonly #startTime: string;
  readonly #guardian: ChildProcess;

  /**
   * @param bubblewrap its parent
   * @param terminal of the run: whoever inherits hoop's end of it keeps it alive
   * @param cgroup of the fence, which goes with it
   * @returns undefined: it has ended
   */
  static below(
    bubblewrap: number | undefined,
    terminal: Pick<PseudoTerminal, 'cover'> | undefined,
    cgroup: string | undefined,
  ): FirstProcess | undefined {
    const pid = bubblewrap === undefined ? undefined : childOf(bubblewrap);
    const startTime = pid === undefined ? undefined : processStat(pid)?.[STAT.startTime];
    return pid === undefined || startTime === undefined
      ? undefined
      : new FirstProcess(pid, startTime, terminal, cgroup);
  }

  private constructor(
    pid: number,
    startTime: string,
    terminal: Pick<PseudoTerminal, 'cover'> | undefined,
    cgroup = '',
  ) {
    this.pid = pid;
    this.#startTime = startTime;
    const stdio = ['pipe', 'ignore', 'ignore'] as const;
    const about = [String(pid), startTime, cgroup];
    this.#guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'hoop-guardian', ...about], {
      // A session of its own: what ends our terminal does not end it.
      detached: true,
      stdio: terminal?.cover(stdio) ?? [...stdio],
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
    });
    this.#guardian.on('error', () => undefined);
    this.#guardian.stdin?.on('error', () => undefined);
    this.#guardian.unref();
  }

  get #isAlive(): boolean {
    const stat = processStat(this.pid);
    return !isOver(stat) && stat?.[STAT.startTime] === this.#startTime;
  }

  /** It, and with it all of the fence. */
  kill(): void {
    if (!this.#isAlive) return;
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch (error) {
      // It has ended meanwhile.
      if (errorCode(error) !== 'ESRCH') throw error;
    }
  }

  /**
   * Kills it when it goes on without the command.
   * @param command first process of the command, as seen from here
   * @param over aborted when bwrap has told how the command has ended
   * @returns the command's exit status, where it came to that and the kernel still tells
   */
  async outlives(command: number, over: AbortSignal): Promise<number | undefined> {
    const startTime = processStat(command)?.[STAT.startTime];
    let code: string | undefined;
    for (let looks = 0; looks <= MAX_LOOKS; ) {
      const isOurs = await delay(OVER_LOOK_MS, true, { signal: over, ref: false }).catch(
        () => false,
      );
      if (!isOurs) return undefined;
      const stat = processStat(command);
      const isThere = stat?.[STAT.startTime] === startTime;
      if (isThere && isOver(stat)) code = stat?.[STAT.exitCode];
      looks = isThere && !isOver(stat) ? 0 : looks + 1;
    }
    this.kill();
    return code === undefined ? undefined : exitStatus(Number(code));
  }

  /** Ends all of the fence, and waits for it: process 1 goes when all others have gone. */
  async end(): Promise<void> {
    this.kill();
    while (this.#isAlive) await delay(GONE_LOOK_MS);
    this.#guardian.stdin?.end('over\n');
  }
}

/** @param code as of waitpid(2) */
function exitStatus(code: number): number {
  const signal = code & 0x7f;
  return signal === 0 ? (code >> 8) & 0xff : 128 + signal;
}
