/**
 * Bytes that wait, copied together: a client that sends its credit one byte at a time must not cost
 * more memory than one that sends it at once.
 */
const BLOCK_BYTES = 16 * 1024;

export class ByteQueue {
  readonly #blocks: { readonly bytes: Uint8Array; start: number; end: number }[] = [];

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  push(bytes: Uint8Array): void {
    const last = this.#blocks.at(-1);
    const room = last === undefined ? 0 : last.bytes.length - last.end;
    const first = bytes.subarray(0, room);
    if (last !== undefined) {
      last.bytes.set(first, last.end);
      last.end += first.length;
    }
    const rest = bytes.subarray(first.length);
    if (rest.length > 0) {
      const block = new Uint8Array(Math.max(BLOCK_BYTES, rest.length));
      block.set(rest);
      this.#blocks.push({ bytes: block, start: 0, end: rest.length });
    }
  }

  /** @returns up to `most` of the first bytes, as a view; undefined: there are none, or `most` is 0 */
  shift(most: number): Uint8Array | undefined {
    const first = this.#blocks[0];
    if (first === undefined || most === 0) {
      return undefined;
    }
    const start = first.start;
    first.start = Math.min(first.end, start + most);
    if (first.start === first.end) {
      this.#blocks.shift();
    }
    return first.bytes.subarray(start, first.start);
  }

  clear(): void {
    this.#blocks.length = 0;
  }
}
