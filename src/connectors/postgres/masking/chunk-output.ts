/**
 * A chunk written anew: what stays is copied in runs as long as possible, what is replaced is written
 * between them. Nothing is made until something is replaced; then the rest of the chunk is copied once
 * into a block, behind some slack, and runs move towards its beginning within the block, which needs no
 * view for each (a fifth of what `set` with a view costs for runs of a hundred bytes).
 *
 *     block:  | written, up to `to` | free | the chunk from `kept` on |
 *
 * A block is given out as views and never used again: socket, recording and hasher may hold on to them.
 * It holds no more than the chunk and its slack, so where masks are longer than values there are
 * several.
 */
const MOST_SLACK = 4096;
/** Once masks have outgrown it. */
const LARGEST_SLACK = 64 * 1024;
/** A run of so much goes out as a view of the chunk, not as a copy. */
const LARGE_RUN = 16 * 1024;

export class ChunkOutput {
  #chunk: Uint8Array = new Uint8Array(0);
  #pieces: Uint8Array[] = [];
  #slack = 0;
  /** What of the chunk is up to here is written. */
  #kept = 0;
  /** From offsets of the chunk to those in the block. */
  #shift = 0;
  /** Where masks are written. */
  block: Buffer | undefined;
  to = 0;

  begin(chunk: Uint8Array, from: number): void {
    this.#chunk = chunk;
    this.#pieces = [];
    this.#slack = Math.min(MOST_SLACK, (chunk.length - from) >> 2);
    this.#kept = from;
    this.block = undefined;
    this.to = 0;
  }

  /**
   * Before something of a row is replaced; it will be in one block.
   * @param at where the row begins @param growth bytes that it may become longer by, at most
   * @returns where the row will begin in the block.
   */
  room(at: number, growth: number): number {
    if (this.block === undefined || this.to + growth > this.#kept + this.#shift) {
      this.#renew(at, growth);
    }
    return this.to + (at - this.#kept);
  }

  /** What stays up to `at` is written; what follows is to be replaced up to `behind`. */
  replace(at: number, behind: number): void {
    const length = at - this.#kept;
    const from = this.#kept + this.#shift;
    if (length > 0 && from !== this.to) this.block?.copyWithin(this.to, from, from + length);
    this.to += length;
    this.#kept = behind;
  }

  /** Writes what stands in place of something; `room` has counted its bytes. */
  write(bytes: Uint8Array): void {
    this.block?.set(bytes, this.to);
    this.to += bytes.length;
  }

  /** Where in the block what is unchanged up to `at` will end. */
  endOf(at: number): number {
    return this.to + (at - this.#kept);
  }

  /** @returns what stands for the chunk up to `end`: views that nobody changes. */
  finish(end: number): Uint8Array[] {
    const pieces = this.#pieces;
    const { block } = this;
    if (block === undefined) {
      if (end > this.#kept) pieces.push(this.#chunk.subarray(this.#kept, end));
    } else {
      this.replace(end, end);
      pieces.push(block.subarray(0, this.to));
    }
    this.#pieces = [];
    this.#chunk = EMPTY;
    this.block = undefined;
    return pieces;
  }

  #renew(at: number, growth: number): void {
    const chunk = this.#chunk;
    if (this.block === undefined) {
      if (at - this.#kept >= LARGE_RUN) {
        this.#pieces.push(chunk.subarray(this.#kept, at));
        this.#kept = at;
      }
    } else if (this.to > 0) {
      this.#pieces.push(this.block.subarray(0, this.to));
      this.#slack = Math.min(2 * this.#slack, LARGEST_SLACK);
    }
    const slack = Math.max(this.#slack, growth);
    const block = Buffer.allocUnsafe(slack + chunk.length - this.#kept);
    block.set(this.#kept === 0 ? chunk : chunk.subarray(this.#kept), slack);
    this.block = block;
    this.#shift = slack - this.#kept;
    this.to = 0;
  }
}

const EMPTY = new Uint8Array(0);
