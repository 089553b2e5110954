/**
 * A terminal behind the terminal filter. Everything shown is already plain text with colours of
 * our own; this is the last gate, so that a part that forgot to filter does no harm.
 */
import { Writable } from 'node:stream';
import { TerminalFilter } from './terminal-filter.ts';

export interface TerminalLike extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export class FilteredOutput extends Writable {
  readonly #target: TerminalLike;
  readonly #filter = new TerminalFilter();
  readonly #marksPastes: boolean;

  /** @param options.marksPastes the terminal is asked to (bracketed paste), until it is restored. */
  constructor(target: TerminalLike, options: { readonly marksPastes: boolean }) {
    super({ decodeStrings: true });
    this.#target = target;
    this.#marksPastes = options.marksPastes;
    if (this.#marksPastes) {
      target.write('\x1b[?2004h');
    }
    target.on('resize', this.#onResize);
  }

  get isTTY(): boolean {
    return this.#target.isTTY === true;
  }

  get columns(): number {
    return this.#target.columns ?? 80;
  }

  get rows(): number {
    return this.#target.rows ?? 24;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#target.write(this.#filter.write(chunk), done);
  }

  /** Leaves the terminal as a shell expects it. */
  restore(): void {
    this.#target.off('resize', this.#onResize);
    // Not part of a reset in every terminal.
    this.#target.write(`${this.#marksPastes ? '\x1b[?2004l' : ''}${this.#filter.end()}`);
  }

  readonly #onResize = () => {
    this.emit('resize');
  };
}
