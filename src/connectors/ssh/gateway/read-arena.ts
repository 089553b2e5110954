/**
 * Memory for what a server sends, for the `onread` option of `connect`. Node's streams read 64 KiB at
 * most, each into memory of its own and with several events, and half of the packets of a bulk
 * transfer lie across two reads, which ssh2 puts together by copying.
 */
const SMALL_BYTES = 16 * 1024;
const BULK_BYTES = 256 * 1024;
/** With less room than this a new one begins; while much comes, with less than a packet. */
const LEAST_ROOM = 4 * 1024;
const LEAST_BULK_ROOM = 40 * 1024;

export class ReadArena {
  #memory = Buffer.allocUnsafeSlow(SMALL_BYTES);
  #filled = 0;
  #isBulk = false;

  /** Where the next bytes go. Node asks after each read. */
  readonly buffer = (): Buffer => {
    const room = this.#memory.length - this.#filled;
    if (room < (this.#isBulk ? LEAST_BULK_ROOM : LEAST_ROOM)) {
      this.#memory = Buffer.allocUnsafeSlow(this.#isBulk ? BULK_BYTES : SMALL_BYTES);
      this.#filled = 0;
    }
    return this.#memory.subarray(this.#filled);
  };

  /** @returns the bytes that were read, in memory that nobody writes to again */
  taken(length: number): Buffer {
    const start = this.#filled;
    this.#filled += length;
    // A small one that is full, or a good part of a large one.
    this.#isBulk = this.#filled === this.#memory.length || length > SMALL_BYTES;
    return this.#memory.subarray(start, this.#filled);
  }
}
