/** Room for small chunks; longer ones are kept as they are. */
const BLOCK_BYTES = 16 * 1024;

export interface Chunk {
  readonly bytes: Uint8Array;
  /** Of the first of its bytes, in the up stream. */
  readonly at: number;
}

/**
 * Chunks that wait. Small ones behind one another are copied together: a client that sends its credit
 * one byte at a time must not cost more memory than one that sends it at once.
 */
export class ChunkQueue {
  readonly #chunks: Chunk[] = [];
  /** Free bytes behind those of the last chunk; only of blocks of our own. */
  #room: Uint8Array = new Uint8Array(0);

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  push(bytes: Uint8Array, at: number): void {
    const last = this.#chunks.at(-1);
    if (last !== undefined && bytes.length <= this.#room.length) {
      this.#room.set(bytes);
      const { buffer, byteOffset, byteLength } = last.bytes;
      const joined = new Uint8Array(buffer, byteOffset, byteLength + bytes.length);
      this.#chunks[this.#chunks.length - 1] = { bytes: joined, at: last.at };
      this.#room = this.#room.subarray(bytes.length);
    } else if (last !== undefined && bytes.length < BLOCK_BYTES) {
      const block = new Uint8Array(BLOCK_BYTES);
      block.set(bytes);
      this.#chunks.push({ bytes: block.subarray(0, bytes.length), at });
      this.#room = block.subarray(bytes.length);
    } else {
      this.#chunks.push({ bytes, at });
      this.#room = new Uint8Array(0);
    }
  }

  shift(): Chunk | undefined {
    const chunk = this.#chunks.shift();
    if (this.#chunks.length === 0) {
      this.#room = new Uint8Array(0);
    }
    return chunk;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#room = new Uint8Array(0);
  }
}
