/** A seeded generator (mulberry32), so that a failure can be repeated: HOOP_TEST_SEED=… */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env['HOOP_TEST_SEED'] ?? Date.now() >>> 0)) {
    this.seed = seed;
    this.#state = seed;
  }

  /** From 0 to `limit - 1`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** The bytes cut into pieces of random length, some of them empty. */
  split(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + this.below(Math.min(bytes.length - at, 4096) + 1);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    return pieces;
  }
}
