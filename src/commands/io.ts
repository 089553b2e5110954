import type { Readable, Writable } from 'node:stream';

/**
 * All that a command may touch of the outside. Made in main.ts; commands and what they call take
 * it as a value, so that tests can run a command without a process.
 */
export interface Io {
  /** The result and nothing else. */
  readonly stdout: Writable & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  /** Progress, warnings, errors, prompts; every line starts with `hoop:`. */
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Words that run this program: for those that are to run it later, without a PATH of ours. */
  readonly self: readonly string[];
  /** Aborted by SIGINT, SIGTERM and SIGHUP, with a HOOP_INTERRUPTED error that names the signal. */
  readonly signal: AbortSignal;
  /**
   * While a child has the terminal its signals are its own business: from here on they go to the
   * listener and abort nothing. SIGTSTP comes before this process stops, SIGCONT when it goes on.
   * @param own still interrupts this process
   * @returns takes the listener away again.
   */
  readonly onSignal: (listener: (signal: NodeJS.Signals) => void, own?: 'SIGTERM') => () => void;
  /**
   * From here on SIGHUP goes to the listener and aborts nothing: for servers, which read their
   * configuration again.
   * @returns takes the listener away again.
   */
  readonly onHangup: (listener: () => void) => () => void;
  /** What is written on the terminal comes to it as it is: lines have to go back to its left themselves. */
  readonly setRaw: (isRaw: boolean) => void;
  /** Stops this process and its group, as Ctrl-Z does, until somebody lets them go on. */
  readonly suspend: () => void;
  /** When everything is done and nothing has failed, this signal ends the process. */
  readonly endBySignal: (signal: NodeJS.Signals) => void;
  /** Whether escape codes for colour may be written to each stream. */
  readonly color: { readonly stdout: boolean; readonly stderr: boolean };
  /** `--quiet`: nothing is said that was not asked for. */
  readonly quiet: boolean;
  /** One progress or warning line on stderr; nothing under `--quiet`. */
  readonly note: (text: string) => void;
  /**
   * The exit status of a pass-through command, or 0 of one that a signal is meant to end; everything
   * else follows from errors and signals.
   */
  readonly setExitCode: (code: number) => void;
}
