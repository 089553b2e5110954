/** What signals do to this process: they interrupt it, or are its child's or a server's business. */
import { HoopError } from '../errors.ts';

const INTERRUPTS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Interrupt = keyof typeof INTERRUPTS;
/** A terminal, its shell and a supervisor may each send the same signal; a person is slower. */
const ONE_REQUEST_MS = 500;
/** What only a child is told of. SIGWINCH reaches it by itself. */
const CHILD_SIGNALS = ['SIGQUIT', 'SIGUSR2', 'SIGCONT'] as const;

export class ProcessSignals {
  readonly #interrupted = new AbortController();
  #by: Interrupt | undefined;
  #atMs = 0;
  #child: ((signal: NodeJS.Signals) => void) | undefined;
  #own: Interrupt | undefined;
  #hangup: (() => void) | undefined;
  #ending: NodeJS.Signals | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const handler = (): void => this.#received(signal, handler);
      process.on(signal, handler);
    }
    // Node.js would open its debugger on 127.0.0.1, to everybody on this machine; and a fenced command
    // can send the signal to the process group that it shares with us.
    process.on('SIGUSR1', (signal) => this.#passOn(signal));
  }

  /** Aborted with HOOP_INTERRUPTED. */
  get interrupted(): AbortSignal {
    return this.#interrupted.signal;
  }

  /** The exit status of what a signal has interrupted. */
  get status(): number | undefined {
    return this.#by === undefined ? undefined : INTERRUPTS[this.#by];
  }

  /** As `Io.onSignal`. */
  toChild(listener: (signal: NodeJS.Signals) => void, own?: Interrupt): () => void {
    this.#child = listener;
    this.#own = own;
    process.on('SIGTSTP', this.#stopWithChild);
    for (const signal of CHILD_SIGNALS) {
      process.on(signal, this.#passOn);
    }
    return () => {
      this.#child = undefined;
      process.off('SIGTSTP', this.#stopWithChild);
      for (const signal of CHILD_SIGNALS) {
        process.off(signal, this.#passOn);
      }
    };
  }

  /** As `Io.onHangup`. */
  onHangup(listener: () => void): () => void {
    this.#hangup = listener;
    return () => {
      this.#hangup = undefined;
    };
  }

  /**
   * As a program does that knows nothing of the signal: the shell that waits for us sees it stop.
   * @param processId 0: the group
   */
  stop(processId: number): void {
    process.off('SIGTSTP', this.#stopWithChild);
    process.kill(processId, 'SIGTSTP');
    if (this.#child !== undefined) {
      process.on('SIGTSTP', this.#stopWithChild);
    }
  }

  /** When everything is done, this signal ends the process. */
  endBy(signal: NodeJS.Signals): void {
    this.#ending = signal;
  }

  /** Ends the process where a signal is to do so. */
  end(): void {
    if (this.#ending !== undefined) {
      process.removeAllListeners(this.#ending);
      process.kill(process.pid, this.#ending);
    }
  }

  #received(signal: Interrupt, handler: () => void): void {
    if (this.#child && signal !== this.#own) {
      this.#child(signal);
      return;
    }
    if (signal === 'SIGHUP' && this.#hangup) {
      this.#hangup();
      return;
    }
    if (this.#by === signal) {
      // SIGHUP comes from the terminal and again from the shell: nobody is there to ask twice.
      if (signal === 'SIGHUP' || performance.now() - this.#atMs < ONE_REQUEST_MS) {
        return;
      }
      // A second signal of the same kind ends the process at once, as the system does it.
      process.off(signal, handler);
      process.kill(process.pid, signal);
      return;
    }
    this.#by = signal;
    this.#atMs = performance.now();
    this.#interrupted.abort(new HoopError('HOOP_INTERRUPTED', `interrupted by ${signal}`));
  }

  readonly #passOn = (signal: NodeJS.Signals): void => this.#child?.(signal);

  readonly #stopWithChild = (): void => {
    this.#passOn('SIGTSTP');
    this.stop(process.pid);
  };
}
