/**
 * Memory for rewritten rows: consecutive rows stand next to each other in one block, so that they
 * leave in one write. A block is never reused; it lives as long as a view of it.
 */
export class RowSlab {
  static readonly BLOCK = 64 * 1024;
  #block = new Uint8Array(0);
  #used = 0;

  /** @param length bytes; larger ones than a quarter of a block get memory of their own. */
  take(length: number): Uint8Array {
    if (length > RowSlab.BLOCK / 4) return new Uint8Array(length);
    if (this.#used + length > this.#block.length) {
      this.#block = new Uint8Array(RowSlab.BLOCK);
      this.#used = 0;
    }
    const view = this.#block.subarray(this.#used, this.#used + length);
    this.#used += length;
    return view;
  }
}
