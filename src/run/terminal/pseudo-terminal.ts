/**
 * A terminal that hoop holds: the program has one end, hoop reads and writes the other. Made by a
 * native package that may be missing (another platform, `--omit=optional`); then there is none.
 */
import type { IOType } from 'node:child_process';
import { closeSync, constants, write as fsWrite, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ReadStream } from 'node:tty';
import type { TerminalSize } from './terminal-recording.ts';

/** The binding is not among the documented parts of the package: its version is pinned. */
const BINDING = '@lydell/node-pty/requireBinary.js';
const BINARY = 'pty.node';
/** The program does not read what is typed, for now. */
const TRY_AGAIN_MS = 10;
/** After the program's end: for what it has still written, or what its children go on to write. */
const QUIET_MS = 60;
const DRAIN_WITHIN_MS = 1000;
/** The program has stopped: for what is still on its way. */
const CAUGHT_UP_QUIET_MS = 30;

export type ChildStdio = IOType | 'ipc' | number;

interface Binding {
  open(columns: number, rows: number): { master: number; slave: number; pty: string };
  resize(master: number, columns: number, rows: number): void;
}

export const hasPseudoTerminals = process.platform === 'linux';

export class PseudoTerminal {
  /** Of the program's end. */
  readonly path: string;
  /** The program's end, for stdio of a child process. Closed with `drain`. */
  readonly device: number;
  /** What is typed. */
  readonly input: Writable;
  readonly #binding: Binding;
  readonly #master: number;
  readonly #nothing = openSync(devNull, 'r');
  readonly #output: ReadStream;
  readonly #ended = Promise.withResolvers<void>();
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;
  #lastMs = 0;

  /** @returns why there is none */
  static open(size: TerminalSize): PseudoTerminal | { readonly because: string } {
    if (!hasPseudoTerminals) {
      return { because: 'this works on Linux only' };
    }
    try {
      return new PseudoTerminal(loadBinding(), size);
    } catch (error) {
      const said = error instanceof Error ? error.message.split('\n')[0] : String(error);
      return { because: said ?? '' };
    }
  }

  private constructor(binding: Binding, { columns, rows }: TerminalSize) {
    const { master, slave, pty } = binding.open(columns, rows);
    this.#binding = binding;
    this.#master = master;
    this.path = pty;
    try {
      // What the binding has opened does not block, and a program would not expect that.
      this.device = openSync(pty, constants.O_RDWR | constants.O_NOCTTY);
    } finally {
      closeSync(slave);
    }
    this.#output = new ReadStream(master);
    this.#output
      // EIO: the last program that had it open has gone.
      .on('error', () => this.#ended.resolve())
      .on('close', () => this.#ended.resolve());
    this.input = new Writable({
      highWaterMark: 64 * 1024,
      write: (bytes: Buffer, _encoding, done) => {
        this.#writing = this.#write(bytes).then(
          () => done(),
          // The program has gone: what was typed for it is for nobody.
          () => done(),
        );
      },
    });
  }

  /** The only listener gets each piece of what the program writes. */
  onOutput(listener: (bytes: Buffer) => void): void {
    this.#output.on('data', (bytes: Buffer) => {
      this.#lastMs = performance.now();
      listener(bytes);
    });
  }

  /**
   * For `stdio` of a child process. Hoop's end of the terminal is not closed by exec, and whoever
   * inherits it keeps the terminal alive: something else comes in its place.
   */
  cover(stdio: readonly ChildStdio[]): ChildStdio[] {
    const length = Math.max(stdio.length, this.#master + 1);
    const covered = Array.from({ length }, (_, index) => stdio[index] ?? 'ignore');
    covered[this.#master] = this.#nothing;
    return covered;
  }

  resize({ columns, rows }: TerminalSize): void {
    if (!this.#isClosed) {
      this.#binding.resize(this.#master, columns, rows);
    }
  }

  /**
   * Resolves when what the program has written until now was read. The kernel brings it from one end
   * of a terminal to the other in a thread of its own, so that it is written says little about when
   * it can be read: it is over when nothing has come for a while.
   */
  async caughtUp(): Promise<void> {
    const untilMs = performance.now() + DRAIN_WITHIN_MS;
    let before: number;
    do {
      before = this.#lastMs;
      await delay(CAUGHT_UP_QUIET_MS);
    } while (this.#lastMs !== before && performance.now() < untilMs);
  }

  /** As when somebody pulls the plug of a terminal: its programs get SIGHUP, and nothing to read. */
  hangUp(): void {
    this.#close();
  }

  /** The program has ended: what it has written is read, and the terminal is closed. */
  async drain(): Promise<void> {
    closeSync(this.device);
    closeSync(this.#nothing);
    if (this.#isClosed) {
      return;
    }
    const untilMs = performance.now() + DRAIN_WITHIN_MS;
    this.#lastMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<void>();
    const looking = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs > untilMs || nowMs - this.#lastMs > QUIET_MS) {
        resolve();
      }
    }, QUIET_MS / 2);
    await Promise.race([this.#ended.promise, promise]);
    clearInterval(looking);
    this.#close();
    await this.#ended.promise;
  }

  #close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.input.destroy();
      // The number may be another file's as soon as it is closed.
      void this.#writing.then(() => this.#output.destroy());
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.#isClosed) {
      const written = await writeSome(this.#master, rest);
      rest = rest.subarray(written);
      if (written === 0) {
        await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
      }
    }
  }
}

function writeSome(descriptor: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    fsWrite(descriptor, bytes, (error, written) => {
      if (error === null) {
        resolve(written);
      } else if (error.code === 'EAGAIN') {
        resolve(0);
      } else {
        reject(error);
      }
    });
  });
}

/** @throws what the module loader or the package says: why there is none */
export function loadBinding(): Binding {
  const load: unknown = createRequire(import.meta.url)(BINDING);
  const binding: unknown =
    isObject(load) && 'requireBinary' in load && typeof load.requireBinary === 'function'
      ? load.requireBinary(BINARY)
      : undefined;
  if (!isBinding(binding)) {
    throw new TypeError('the package is not as expected');
  }
  return binding;
}

function isBinding(value: unknown): value is Binding {
  return (
    isObject(value) &&
    'open' in value &&
    typeof value.open === 'function' &&
    'resize' in value &&
    typeof value.resize === 'function'
  );
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
