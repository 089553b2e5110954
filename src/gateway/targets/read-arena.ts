/**
 * Memory for what a target sends, for the `onread` option of `connect`. Node's streams read 64 KiB at
 * most, each time into memory of its own, of which short messages need next to nothing.
 *
 * Whoever sends little is read into memory that all targets share, and what came is copied out of it
 * at once: reading is one call of the system and nothing happens in between. Whoever sends much is
 * read into memory of its own, 256 KiB at once, without a copy.
 */
const SHARED_BYTES = 64 * 1024;
const BULK_BYTES = 256 * 1024;
/** With less room than this a new one begins: there is always room for a packet of SSH. */
const LEAST_BULK_ROOM = 40 * 1024;
/** Who sends less is not in bulk any more. */
const LEAST_IN_BULK = 16 * 1024;

const shared = Buffer.allocUnsafeSlow(SHARED_BYTES);

export class ReadArena {
  /** While much comes; filled up to there. */
  #bulk: Buffer | undefined;
  #filled = 0;

  /** Where the next bytes go. Node asks after each read. */
  readonly buffer = (): Buffer => {
    if (this.#bulk === undefined) {
      return shared;
    }
    if (this.#bulk.length - this.#filled < LEAST_BULK_ROOM) {
      this.#bulk = Buffer.allocUnsafeSlow(BULK_BYTES);
      this.#filled = 0;
    }
    return this.#bulk.subarray(this.#filled);
  };

  /** @returns the bytes that were read, in memory that nobody writes to again */
  taken(length: number): Buffer {
    const bulk = this.#bulk;
    if (bulk === undefined) {
      if (length === SHARED_BYTES) {
        this.#bulk = Buffer.allocUnsafeSlow(BULK_BYTES);
        this.#filled = 0;
      }
      const own = Buffer.allocUnsafe(length);
      shared.copy(own, 0, 0, length);
      return own;
    }
    const start = this.#filled;
    this.#filled += length;
    if (length < LEAST_IN_BULK) {
      this.#bulk = undefined;
    }
    return bulk.subarray(start, start + length);
  }
}
