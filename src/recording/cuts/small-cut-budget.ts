/** Cuts that cover less than this count against the rate; those that cover more pay for themselves. */
export const SMALL_CUT_BYTES = 1 << 20;
const BURST = 32;
const PER_SECOND = 2;

/** A token bucket: how often a client may cut without much to cut. */
export class SmallCutBudget {
  #tokens = BURST;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  take(nowMs: number): boolean {
    const gained = (Math.max(0, nowMs - this.#atMs) / 1000) * PER_SECOND;
    this.#tokens = Math.min(BURST, this.#tokens + gained);
    this.#atMs = nowMs;
    if (this.#tokens < 1) {
      return false;
    }
    this.#tokens -= 1;
    return true;
  }
}
