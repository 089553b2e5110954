/** Bytes that several may have together: of one owner, and of all owners in the process. */
export class ByteBudget {
  readonly #whole: ByteBudget | undefined;
  #left: number;

  /** @param whole of which this is a part: what is taken here is taken there too. */
  constructor(bytes: number, whole?: ByteBudget) {
    this.#left = bytes;
    this.#whole = whole;
  }

  get left(): number {
    return this.#whole === undefined ? this.#left : Math.min(this.#left, this.#whole.left);
  }

  /** @returns whether they were left; if not, nothing is taken. */
  take(bytes: number): boolean {
    if (bytes > this.left) {
      return false;
    }
    this.give(-bytes);
    return true;
  }

  /** Back what was taken. */
  give(bytes: number): void {
    this.#left += bytes;
    this.#whole?.give(bytes);
  }
}
