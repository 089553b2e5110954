import { createHash, type Hash } from 'node:crypto';

/** What a piece costs beside its bytes: many of a byte each would otherwise take a hundred times the room. */
const PIECE_BYTES = 256;

/** Room for pieces that came before their turn, for all files of one channel together. */
export class ReorderRoom {
  /** 64 requests of 32 KiB, the most that sftp(1) has under way unless it is told otherwise. */
  bytesLeft = 2 * 1024 * 1024;
}

/**
 * SHA-256 of bytes that come with their place in a file, one after the other or nearly so. What
 * leaves a gap, overlaps, or comes too far ahead has no digest: none is better than one of other bytes.
 */
export class SequentialHash {
  readonly #room: ReorderRoom;
  readonly #hash: Hash = createHash('sha256');
  readonly #early = new Map<bigint, Uint8Array>();
  #earlyBytes = 0;
  #next: bigint;
  #broken: string | undefined;
  /** Of the first byte. */
  readonly from: bigint;

  /** @param from where the first byte that was asked for stands */
  constructor(from: bigint, room: ReorderRoom) {
    this.from = from;
    this.#next = from;
    this.#room = room;
  }

  /** First byte after all that is hashed. */
  get next(): bigint {
    return this.#next;
  }

  add(offset: bigint, bytes: Uint8Array): void {
    if (this.#broken !== undefined || bytes.length === 0) {
      return;
    }
    if (offset === this.#next) {
      this.#take(bytes);
      this.#takeEarly();
    } else if (offset < this.#next || this.#early.has(offset)) {
      this.break('parts of it were moved more than once');
    } else if (bytes.length + PIECE_BYTES > this.#room.bytesLeft) {
      this.break('not sequential');
    } else {
      this.#hold(bytes.length + PIECE_BYTES);
      // A Buffer's own slice would keep all the memory that it is a view of.
      this.#early.set(offset, Uint8Array.from(bytes));
    }
  }

  /** There is no digest, whatever comes. */
  break(reason: string): void {
    this.#broken ??= reason;
    this.#early.clear();
    this.#hold(-this.#earlyBytes);
  }

  /** The last call. */
  finish(): { readonly sha256: string } | { readonly notHashed: string } {
    if (this.#early.size > 0) {
      this.break('not sequential');
    }
    return this.#broken === undefined
      ? { sha256: this.#hash.digest('hex') }
      : { notHashed: this.#broken };
  }

  #hold(bytes: number): void {
    this.#room.bytesLeft -= bytes;
    this.#earlyBytes += bytes;
  }

  #take(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#next += BigInt(bytes.length);
  }

  #takeEarly(): void {
    for (
      let bytes = this.#early.get(this.#next);
      bytes !== undefined;
      bytes = this.#early.get(this.#next)
    ) {
      this.#early.delete(this.#next);
      this.#hold(-bytes.length - PIECE_BYTES);
      this.#take(bytes);
    }
  }
}
