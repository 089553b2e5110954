/** What is written for a person to read, a screen at a time: what scrolls off is not read. */
import { textWidth } from '../ui/text/text-width.ts';

export interface PagerOptions {
  readonly write: (text: string) => void;
  /** undefined: nobody reads along, and everything is written at once. */
  readonly size: () => { readonly columns: number; readonly rows: number } | undefined;
  /** Asks for the next screen. @returns whether to ask again at the one after. */
  readonly more: () => Promise<boolean>;
}

/** Below the text: an empty line and the question. */
const KEPT_ROWS = 2;
/** A page shorter than this is not worth its question; on small screens a quarter is. */
const SHORT_PAGE_ROWS = 5;

export class Pager {
  readonly #options: PagerOptions;
  readonly #queue: string[] = [];
  #usedRows = 0;
  #asks = true;
  #isEnd = false;
  #isDraining = false;
  #draining: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(options: PagerOptions) {
    this.#options = options;
  }

  /** Never waits: what does not fit is kept until it is asked for. */
  write(text: string): void {
    this.#isEnd = false;
    this.#queue.push(...text.split(/(?<=\n)/));
    this.#goOn();
  }

  /** This was all. Resolves when it has been read. @throws what `more` has thrown */
  async settled(): Promise<void> {
    do {
      this.#isEnd = true;
      this.#goOn();
      await this.#draining;
    } while (this.#queue.length > 0);
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** Whoever reads has seen all there is, and begins a new screen. */
  newScreen(): void {
    this.#usedRows = 0;
  }

  #goOn(): void {
    if (!this.#isDraining) {
      this.#draining = this.#drain();
    }
  }

  /** Never fails: `settled` does. Goes on in the same turn unless somebody has to be asked. */
  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        for (const line of this.#queue.splice(0, next.lines)) {
          this.#usedRows += this.#rowsOf(line);
          this.#options.write(line);
        }
        if (next.isFull) {
          this.#asks = await this.#options.more();
          this.#usedRows = 0;
        }
      }
    } catch (error) {
      this.#failure = error;
      this.#queue.length = 0;
    } finally {
      this.#isDraining = false;
    }
  }

  /**
   * How many lines come now, and whether the page ends there. The last rows of a page wait until it
   * is known how much comes after them: else a line or two would often have a page to themselves.
   */
  #next(): { readonly lines: number; readonly isFull: boolean } | undefined {
    const size = this.#options.size();
    if (this.#queue.length === 0) {
      return undefined;
    }
    if (!this.#asks || size === undefined) {
      return { lines: this.#queue.length, isFull: false };
    }
    const pageRows = size.rows - KEPT_ROWS;
    const short = Math.min(SHORT_PAGE_ROWS, Math.floor(pageRows / 4));
    const room = pageRows - this.#usedRows;
    const free = this.#linesWithin(room - short);
    if (free > 0) {
      return { lines: free, isFull: false };
    }
    const rows = this.#queue.reduce((sum, line) => sum + this.#rowsOf(line), 0);
    if (rows <= room) {
      return this.#isEnd ? { lines: this.#queue.length, isFull: false } : undefined;
    }
    if (!this.#isEnd && rows - room < short) {
      return undefined;
    }
    const fitting = this.#linesWithin(Math.min(room, rows - short));
    if (fitting === 0 && this.#usedRows === 0) {
      // A line that is higher than the screen.
      return { lines: 1, isFull: false };
    }
    // A page ends before an empty line when there is one near its end.
    const empty = this.#queue.slice(0, fitting + 1).lastIndexOf('\n');
    return { lines: empty > 0 ? empty : fitting, isFull: true };
  }

  /** How many of the waiting lines fit. */
  #linesWithin(room: number): number {
    let used = 0;
    const tooFar = this.#queue.findIndex((line) => {
      used += this.#rowsOf(line);
      return used > room;
    });
    return tooFar === -1 ? this.#queue.length : tooFar;
  }

  /** Our own colours take no room; other people's control characters are not shown. */
  #rowsOf(line: string): number {
    const columns = this.#options.size()?.columns ?? Number.POSITIVE_INFINITY;
    const width = textWidth(line.replace(/\u001b\[\d+m|\n/g, ''));
    return Math.max(1, Math.ceil(width / columns));
  }
}
