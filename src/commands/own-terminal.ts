/**
 * The terminal that hoop was started on, given over to another one behind it: every key as it is,
 * and nothing changed that is shown. By stty(1), because Node's raw mode goes on translating line
 * ends. Whatever happens, Node.js itself puts back at its end what it found at its start.
 */
import { spawnSync } from 'node:child_process';
import { findProgram } from '../connectors/ssh/client/ssh-files.ts';
import type { TerminalSize } from '../run/terminal/terminal-recording.ts';
import type { Io } from './io.ts';

export class OwnTerminal {
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
