/** What is written for a person to read, a screen at a time: what scrolls off is not read. */
import { textWidth } from '../ui/text-width.ts';

export interface PagerOptions {
  readonly write: (text: string) => void;
  /** undefined: nobody reads along, and everything is written at once. */
  readonly size: () => { readonly columns: number; readonly rows: number } | undefined;
  /** Asks for the next screen. @returns whether to ask again at the one after. */
  readonly more: () => Promise<boolean>;
}

/** Below the text: an empty line and the question. */
const KEPT_ROWS = 2;

export class Pager {
  readonly #options: PagerOptions;
  readonly #queue: string[] = [];
  #usedRows = 0;
  #asks = true;
  #isDraining = false;
  #draining: Promise<void> = Promise.resolve();
  #failure: unknown;

  constructor(options: PagerOptions) {
    this.#options = options;
  }

  /** Never waits: what does not fit is kept until it is asked for. */
  write(text: string): void {
    this.#queue.push(...text.split(/(?<=\n)/));
    if (!this.#isDraining) {
      this.#draining = this.#drain();
    }
  }

  /** Resolves when everything has been read. @throws what `more` has thrown */
  async settled(): Promise<void> {
    await this.#draining;
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** Whoever reads has seen all there is, and begins a new screen. */
  newScreen(): void {
    this.#usedRows = 0;
  }

  /** Never fails: `settled` does. Goes on in the same turn unless somebody has to be asked. */
  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let line = this.#queue.shift(); line !== undefined; line = this.#queue.shift()) {
        if (this.#isFull(line)) {
          this.#asks = await this.#options.more();
          this.#usedRows = 0;
        }
        this.#usedRows += this.#rowsOf(line);
        this.#options.write(line);
      }
    } catch (error) {
      this.#failure = error;
      this.#queue.length = 0;
    } finally {
      this.#isDraining = false;
    }
  }

  #isFull(line: string): boolean {
    const rows = this.#options.size()?.rows ?? Number.POSITIVE_INFINITY;
    return this.#asks && this.#usedRows + this.#rowsOf(line) > rows - KEPT_ROWS;
  }

  /** Our own colours take no room; other people's control characters are not shown. */
  #rowsOf(line: string): number {
    const columns = this.#options.size()?.columns ?? Number.POSITIVE_INFINITY;
    const width = textWidth(line.replace(/\u001b\[\d+m|\n/g, ''));
    return Math.max(1, Math.ceil(width / columns));
  }
}
