import { unshared } from './unshared.ts';

/** Pieces up to this are copied together; larger ones are kept as they are. */
const LARGEST_COPY = 8 * 1024;
const COPIES_BYTES = 32 * 1024;

/**
 * What waits for whoever does not read a stream: bytes, and what else comes in their order. A small piece is a view of all that came with it on
 * the connection: kept as it is, it would keep memory many times its size, and a window of single
 * bytes a million objects.
 */
export class UnreadItems<Other = never> {
  readonly #items: (Buffer | Other)[] = [];
  /** Room for small pieces; the last item has the first bytes of it. */
  #copies: Buffer | undefined;

  push(item: Buffer | Other): void {
    if (!Buffer.isBuffer(item)) {
      this.#copies = undefined;
      this.#items.push(item);
    } else if (item.length > LARGEST_COPY) {
      this.#copies = undefined;
      this.#items.push(unshared(item));
    } else if (!this.#joined(item)) {
      this.#copies = Buffer.allocUnsafeSlow(COPIES_BYTES);
      item.copy(this.#copies);
      this.#items.push(this.#copies.subarray(0, item.length));
    }
  }

  shift(): Buffer | Other | undefined {
    const next = this.#items.shift();
    if (this.#items.length === 0) {
      this.#copies = undefined;
    }
    return next;
  }

  /** How much memory waits, nearly. */
  get bytes(): number {
    return this.#items.reduce((sum, item) => sum + (Buffer.isBuffer(item) ? item.length : 0), 0);
  }

  clear(): void {
    this.#items.length = 0;
    this.#copies = undefined;
  }

  /** @returns whether there was room behind the last item */
  #joined(item: Buffer): boolean {
    const copies = this.#copies;
    const last = this.#items.at(-1);
    if (copies === undefined || !Buffer.isBuffer(last)) {
      return false;
    }
    const length = last.length + item.length;
    if (length > copies.length) {
      return false;
    }
    item.copy(copies, last.length);
    this.#items[this.#items.length - 1] = copies.subarray(0, length);
    return true;
  }
}
