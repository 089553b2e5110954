/**
 * What one direction of a stream has brought and no agreed cut covers, in memory only: to hash again
 * where a cut ends inside a chunk, and to send back to a gateway whose disk has lost it. The bytes are
 * copied: whoever brought them may use their memory for others as soon as they have gone on.
 */

/** Blocks of bulk, which are used again and again. */
const BLOCK_BYTES = 256 * 1024;
/** What a session of short messages takes at least for each direction of a stream. */
const SMALL_BYTES = 512;
/** As much as a gateway lets pass without a cut. */
const MAX_SPARE_BLOCKS = 64;

/** Blocks of BLOCK_BYTES that all streams of a session share. */
export class SpareBlocks {
  readonly #blocks: Buffer[] = [];

  take(): Buffer {
    return this.#blocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }

  /** Nothing is under way: the memory is for others. */
  clear(): void {
    this.#blocks.length = 0;
  }

  give(block: Buffer): void {
    if (block.length === BLOCK_BYTES && this.#blocks.length < MAX_SPARE_BLOCKS) {
      this.#blocks.push(block);
    }
  }
}

interface Block {
  readonly offset: number;
  readonly bytes: Buffer;
  used: number;
}

export class UncutBytes {
  readonly #spare: SpareBlocks;
  #blocks: Block[] = [];
  #end = 0;

  constructor(spare: SpareBlocks) {
    this.#spare = spare;
  }

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  add(part: Uint8Array): void {
    for (let done = 0; done < part.length; ) {
      const block = this.#withRoom(part.length - done);
      const length = Math.min(part.length - done, block.bytes.length - block.used);
      block.bytes.set(part.subarray(done, done + length), block.used);
      block.used += length;
      done += length;
      this.#end += length;
    }
  }

  /** Views of [from, to), in order; valid until the next `forget`. @throws RangeError for what is not here */
  read(from: number, to: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let at = from;
    for (const { offset, bytes, used } of this.#blocks) {
      if (at < to && offset <= at && at < offset + used) {
        const end = Math.min(to, offset + used);
        parts.push(bytes.subarray(at - offset, end - offset));
        at = end;
      }
    }
    if (at < to) {
      throw new RangeError(`bytes from ${at} to ${to} are not in memory any more`);
    }
    return parts;
  }

  /** Both sides have signed what is before `to`. */
  forget(to: number): void {
    const kept = this.#blocks.findIndex(({ offset, used }) => offset + used > to);
    const gone = this.#blocks.splice(0, kept === -1 ? this.#blocks.length : kept);
    for (const { bytes } of gone) {
      this.#spare.give(bytes);
    }
  }

  #withRoom(length: number): Block {
    const last = this.#blocks.at(-1);
    if (last !== undefined && last.used < last.bytes.length) {
      return last;
    }
    const known = this.#end - (this.#blocks[0]?.offset ?? this.#end);
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(SMALL_BYTES, length, known)));
    const bytes = wanted * 2 < BLOCK_BYTES ? Buffer.allocUnsafeSlow(wanted) : this.#spare.take();
    const block = { offset: this.#end, bytes, used: 0 };
    this.#blocks.push(block);
    return block;
  }
}
