/**
 * What stands between a terminal of hoop and the program: a shell that does job control. Without it
 * the program would lead the session, in a process group that nobody can let go on, and the kernel
 * does not stop such a group on Ctrl-Z. With it the program is a job: when it stops, by Ctrl-Z or by
 * itself, the shell says so and waits until it shall go on.
 */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** Descriptors of the shell. In a fence there are no others: what is beyond is closed on the way in. */
export const JOB_SHELL = {
  /** A line lets the job go on. */
  orders: 0,
  /** The terminal. */
  terminal: 1,
  /** `begun`, `stopped`, `exited STATUS`. */
  reports: 2,
  /** Stderr of the program, where that is not the terminal. */
  errors: 5,
} as const;

/**
 * Opening a terminal makes it that of a session that has none; in a fence it is that already. What
 * the shell itself says (`Stopped`, `Killed`) is not the program's. Numbers of descriptors have one
 * digit in some shells. In a fence dash ends with a status of its own, because the process group
 * that it wants to give the terminal back to has no number there: so it is told.
 */
const SCRIPT = `
if [ -n "$1" ]; then : <>"$1"; fi
stty "$2" <&1
errors=$3
shift 3
set -m
exec 7<&0 6>&2 0<&1 2>/dev/null
(echo begun >&6; exec 2>&$errors 5>&- 6>&- 7<&- "$@")
status=$?
while kill -0 %%; do
  echo stopped >&6
  read -r go <&7 || break
  fg >/dev/null
  status=$?
done
echo "exited $status" >&6
exit $status`;

export interface JobShellOptions {
  /** Path of the terminal; undefined: it is the session's already. */
  readonly terminal: string | undefined;
  /** What `stty -g` says of the person's own terminal. */
  readonly settings: string;
  /** The program's stderr is JOB_SHELL.errors. */
  readonly hasErrors: boolean;
}

/** A command that runs `command` as a job; as leader of a session, or within one in a fence. */
export function jobShell(
  command: readonly string[],
  { terminal = '', settings, hasErrors }: JobShellOptions,
): readonly string[] {
  const errors = hasErrors ? JOB_SHELL.errors : JOB_SHELL.terminal;
  return ['/bin/sh', '-c', SCRIPT, 'sh', terminal, settings, String(errors), ...command];
}

/** The job, as its shell tells of it. */
export class Job {
  /** Of the shell. */
  readonly pid: number | undefined;
  readonly #orders: Writable;
  readonly #ended: Promise<number>;
  readonly #kill: () => void;
  readonly #begun = Promise.withResolvers<void>();
  readonly #told = Promise.withResolvers<number | undefined>();
  #onStopped: () => void = () => undefined;

  /** @param ended status of the shell itself @param kill ends the shell, whatever it does */
  constructor(made: {
    readonly pid: number | undefined;
    readonly orders: Writable;
    readonly reports: Readable;
    readonly ended: Promise<number>;
    readonly kill: () => void;
  }) {
    this.pid = made.pid;
    this.#orders = made.orders;
    this.#ended = made.ended;
    this.#kill = made.kill;
    // It has ended and is not told anything any more.
    made.orders.on('error', () => undefined);
    createInterface({ input: made.reports })
      .on('line', (line) => this.#report(line))
      .on('close', () => this.#told.resolve(undefined));
  }

  /** Its exit status, 128 + number of the signal that ended it. */
  get exited(): Promise<number> {
    return this.#ended.then(async (status) => (await this.#told.promise) ?? status);
  }

  /** Resolves when the shell has the process that becomes the program, which gets its signals. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  onStopped(listener: () => void): void {
    this.#onStopped = listener;
  }

  /** The shell is a process of its program's user, which may have stopped it. */
  kill(): void {
    this.#kill();
  }

  goOn(): void {
    this.#orders.write('go\n');
  }

  #report(line: string): void {
    const status = /^exited (\d{1,3})$/.exec(line)?.[1];
    if (status !== undefined) {
      this.#told.resolve(Number(status));
    } else if (line === 'begun') {
      this.#begun.resolve();
    } else if (line === 'stopped') {
      this.#onStopped();
    }
  }
}
