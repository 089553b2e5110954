/**
 * Memory for what a TLS connection delivers, for the `onread` option of `tls.connect`.
 *
 * Node hands over one TLS record at a time, 16 KiB at most, each in a buffer and an event of its
 * own, while what follows costs per piece: a frame of the recording, a write to the local socket.
 * Here records land one behind the other, and what one read of the connection held goes on as one
 * piece. Nothing waits for more: the last record of a write is not full, and where the kernel had
 * cut in the middle, the end of the event loop's turn delivers what is there.
 */

import { FRAME_HEADER_BYTES } from '../protocol/carrier/frames.ts';
import { FULL_RECORD_BYTES } from './record-joiner.ts';

const SMALL_ARENA_BYTES = 16 * 1024;
/** With less room than this a new arena begins; while much comes, with less than a full record. */
const LEAST_ROOM_BYTES = 4 * 1024;
/**
 * What the gateway sends at once is what it read in one turn, four full reads. Room for two of them:
 * where an arena ends, a piece is cut.
 */
const BULK_ARENA_BYTES = 2 * (4 * 64 * 1024 + FRAME_HEADER_BYTES) + FULL_RECORD_BYTES - 1;

export class RecordArena {
  readonly #onBytes: (bytes: Buffer) => void;
  #arena = Buffer.allocUnsafeSlow(SMALL_ARENA_BYTES);
  /** Delivered up to here, filled up to there; nothing is written twice. */
  #start = 0;
  #filled = 0;
  #isBulk = false;
  #turnEnd: NodeJS.Immediate | undefined;

  /** @param onBytes gets each byte once, in order, in memory that nobody writes to again. */
  constructor(onBytes: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
  }

  /** Where the next record goes. Node asks after each one. */
  readonly buffer = (): Buffer => {
    if (this.#room < (this.#isBulk ? FULL_RECORD_BYTES : LEAST_ROOM_BYTES)) {
      this.deliver();
      this.#arena = Buffer.allocUnsafeSlow(this.#isBulk ? BULK_ARENA_BYTES : SMALL_ARENA_BYTES);
      this.#start = 0;
      this.#filled = 0;
    }
    return this.#arena.subarray(this.#filled);
  };

  /** So many bytes are there. */
  readonly filled = (length: number): boolean => {
    const isFull = length === Math.min(FULL_RECORD_BYTES, this.#room);
    this.#filled += length;
    if (isFull) {
      this.#isBulk = true;
      this.#turnEnd ??= setImmediate(() => this.deliver());
    } else {
      this.#isBulk = this.#filled - this.#start > FULL_RECORD_BYTES;
      this.deliver();
    }
    return true;
  };

  get #room(): number {
    return this.#arena.length - this.#filled;
  }

  deliver(): void {
    if (this.#turnEnd !== undefined) {
      clearImmediate(this.#turnEnd);
      this.#turnEnd = undefined;
    }
    if (this.#filled > this.#start) {
      const bytes = this.#arena.subarray(this.#start, this.#filled);
      this.#start = this.#filled;
      this.#onBytes(bytes);
    }
  }
}
