/**
 * A terminal of its own for the child of a run, so that what it shows can be recorded. Hoop stands
 * between it and the person's: bytes, size, and being stopped and let go on.
 */

import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { findProgram } from '../../connectors/ssh/client/ssh-files.ts';
import { errorCode } from '../../error-code.ts';
import { childOf } from '../../run/child-of.ts';
import type { Run } from '../../run/run.ts';
import { EscapeBoundary } from '../../run/terminal/escape-boundary.ts';
import type { Job } from '../../run/terminal/job-shell.ts';
import { PseudoTerminal } from '../../run/terminal/pseudo-terminal.ts';
import { TerminalRecording, type TerminalSize } from '../../run/terminal/terminal-recording.ts';
import type { ClientSession } from '../../tunnel/connect-session.ts';
import type { Io } from '../io.ts';
import { isForeground } from './terminal-group.ts';

/** How often it is looked whether a job that went on in the background is in front again. */
const LOOK_EVERY_MS = 250;

export class ChildTerminal {
  readonly recording: TerminalRecording;
  readonly device: PseudoTerminal;
  /** For `jobShell`. */
  readonly settings: string;
  readonly #io: Io;
  readonly #own: OwnTerminal;
  #drained: Promise<void> | undefined;
  #holds = false;
  #looking: NodeJS.Timeout | undefined;
  readonly #boundary = new EscapeBoundary();
  #interjected = '';

  /** @returns why there is none; undefined: there is no terminal, and nothing to say */
  static open(
    io: Io,
    { fence = false }: { readonly fence?: boolean },
  ): ChildTerminal | { readonly because: string } | undefined {
    if (!io.stdin.isTTY || !io.stdout.isTTY) {
      return undefined;
    }
    if (!isForeground(io)) {
      return { because: 'the command was started in the background' };
    }
    if (fence && !io.stderr.isTTY) {
      return { because: 'in a fence, stderr must be the terminal too' };
    }
    const own = OwnTerminal.open(io);
    if (own === undefined) {
      return { because: 'there is no stty' };
    }
    const device = PseudoTerminal.open(own.size);
    return 'because' in device ? device : new ChildTerminal(io, own, device);
  }

  private constructor(io: Io, own: OwnTerminal, device: PseudoTerminal) {
    this.#io = io;
    this.#own = own;
    this.device = device;
    this.settings = own.settings;
    this.recording = new TerminalRecording({ size: own.size, clock: Date.now });
  }

  /** Into each session that the run opens. */
  recordIn(run: Pick<Run, 'beforeEachSession'>, note: (text: string) => void): void {
    run.beforeEachSession(async (session) => {
      // The session does not wait for it.
      void this.#recordIn(session, note);
    });
  }

  /** To the person's terminal, and not into the middle of what the program writes. Not recorded. */
  interject(text: string): void {
    this.#interjected += text;
    this.#flush();
  }

  #flush(): void {
    // In the background the terminal is somebody else's.
    if (this.#interjected !== '' && this.#holds && this.#boundary.isAtBoundary) {
      this.#io.stdout.write(this.#interjected);
      this.#interjected = '';
    }
  }

  /** What is recorded gets its time to arrive. */
  async close(): Promise<void> {
    await this.recording.end();
    await this.#drain();
  }

  async #recordIn(
    session: Pick<ClientSession, 'openTerminal'>,
    note: (text: string) => void,
  ): Promise<void> {
    try {
      const stream = await session.openTerminal(this.#io.signal);
      if (stream !== undefined) {
        this.recording.record(stream);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown reason';
      note(`the terminal is not recorded in this session: ${reason}`);
    }
  }

  #drain(): Promise<void> {
    this.#drained ??= this.device.drain();
    return this.#drained;
  }

  /**
   * @param io whose signals are passed on
   * @param start the program, on `device`
   * @returns its exit status, 128 + signal number
   */
  async run({ onSignal }: Pick<Io, 'onSignal'>, start: () => Promise<Job>): Promise<number> {
    const { stdin, stdout } = this.#io;
    const typed = (bytes: Buffer): void => {
      if (!this.device.input.write(bytes)) {
        stdin.pause();
        this.device.input.once('drain', () => (this.#holds ? stdin.resume() : undefined));
      }
    };
    const resized = (): void => this.#resize(this.#own.size);
    // The person's terminal has gone: so has the program's, which may wait for a key for ever.
    const gone = (): void => this.device.hangUp();
    const started = Promise.withResolvers<Job>();
    const release = onSignal((signal) => this.#signal(signal, started.promise));
    try {
      this.#hold();
      stdin.on('data', typed).on('end', gone).on('error', gone);
      stdout.on('resize', resized);
      this.device.onOutput((bytes) => {
        stdout.write(bytes);
        this.#boundary.shown(bytes);
        this.recording.shown(bytes);
        this.#flush();
      });
      const job = await start();
      started.resolve(job);
      job.onStopped(() => void this.#stopWith(job));
      const status = await job.exited;
      await this.#drain();
      if (status === 128 + constants.signals.SIGINT) {
        // A shell that runs a script or a loop ends it when what it runs was interrupted.
        this.#io.endBySignal('SIGINT');
      }
      return status;
    } finally {
      release();
      stdin.off('data', typed).off('end', gone);
      stdout.off('resize', resized);
      this.#letGo();
    }
  }

  /** In the foreground the keys go to the program; in the background hoop waits until it is there. */
  #hold(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    if (isForeground(this.#io)) {
      this.#holds = true;
      this.#resize(this.#own.giveAway());
      this.#io.stdin.resume();
    } else {
      this.#looking = setInterval(() => {
        if (isForeground(this.#io)) {
          this.#hold();
        }
      }, LOOK_EVERY_MS);
    }
  }

  #letGo(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#io.stdin.pause();
    if (this.#holds) {
      this.#holds = false;
      if (isForeground(this.#io)) {
        this.#own.takeBack();
      }
    }
    this.#io.setRaw(false);
  }

  /** The program has stopped: so does hoop, for the shell that waits for it; then both go on. */
  async #stopWith(job: Job): Promise<void> {
    await this.device.caughtUp();
    this.#letGo();
    this.#io.suspend();
    this.#hold();
    // The news of another size went to the shell, which had the terminal.
    this.#kill('SIGWINCH', job.pid, 'group');
    job.goOn();
  }

  #signal(signal: NodeJS.Signals, started: Promise<Job>): void {
    switch (signal) {
      case 'SIGTSTP':
        // Of somebody else; from the keyboard it comes to the program alone.
        this.#letGo();
        return;
      case 'SIGCONT':
        this.#hold();
        return;
      default:
        // One that comes before the program is there is kept for it.
        void started.then(async (job) => {
          if (signal === 'SIGKILL') {
            this.#kill(signal, job.pid);
            job.kill();
          } else {
            await job.begun;
            this.#kill(signal, job.pid);
          }
        });
    }
  }

  #kill(signal: NodeJS.Signals, shell: number | undefined, whole?: 'group'): void {
    const program = shell === undefined ? undefined : childOf(shell);
    if (program === undefined) {
      return;
    }
    try {
      process.kill(whole === 'group' ? -program : program, signal);
    } catch (error) {
      // It has ended meanwhile, which is waited for elsewhere.
      if (errorCode(error) !== 'ESRCH') {
        throw error;
      }
    }
  }

  #resize(size: TerminalSize): void {
    this.device.resize(size);
    this.recording.resized(size);
  }
}

/**
 * The terminal that hoop was started on, given over to another one behind it: every key as it is,
 * and nothing changed that is shown. By stty(1), because Node's raw mode goes on translating line
 * ends. Whatever happens, Node.js itself puts back at its end what it found at its start.
 */
class OwnTerminal {
  /** As stty takes them: what the keys of this terminal do. */
  readonly settings: string;
  readonly #io: Io;
  readonly #program: string;

  /** @returns undefined: there is none, or no stty */
  static open(io: Io): OwnTerminal | undefined {
    // Looked for once: later, a program that runs may have put another one on PATH.
    const program = findProgram('stty', io.env['PATH'] ?? '');
    const settings = program === undefined ? undefined : stty(program, '-g');
    return program === undefined || settings === undefined
      ? undefined
      : new OwnTerminal(io, program, settings.trim());
  }

  private constructor(io: Io, program: string, settings: string) {
    this.#io = io;
    this.#program = program;
    this.settings = settings;
  }

  /** Of the last SIGWINCH that came. */
  get size(): TerminalSize {
    const { columns, rows } = this.#io.stdout;
    return { columns: columns || 80, rows: rows || 24 };
  }

  /**
   * Only in the foreground: a process in the background would be stopped over it.
   * @returns the size as it is now; who was stopped was told nothing of a change
   */
  giveAway(): TerminalSize {
    const said = stty(this.#program, 'raw', '-echo', '-iexten', 'size');
    this.#io.setRaw(true);
    const [, rows, columns] = /^(\d+) (\d+)$/.exec(said?.trim() ?? '') ?? [];
    return Number(rows) > 0 && Number(columns) > 0
      ? { columns: Number(columns), rows: Number(rows) }
      : this.size;
  }

  takeBack(): void {
    this.#io.setRaw(false);
    stty(this.#program, this.settings);
  }
}

function stty(program: string, ...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, {
    stdio: ['inherit', 'pipe', 'ignore'],
    encoding: 'utf8',
  });
  return status === 0 ? stdout : undefined;
}
