/**
 * How fast the statements of one session are decided, over all its connections. Whoever sends them
 * faster than the policy says waits, and is not refused: a load goes on, and leaves room for others.
 */

/** Seconds of the limit that may come at once. */
const BURST_SECONDS = 2;

export class StatementPace {
  #left: number | undefined;
  #sinceMs = 0;

  /**
   * @param perSecond undefined: no limit
   * @param nowMs of a clock that only goes on
   * @returns how long to wait before the next one is decided, milliseconds; mostly 0
   */
  spend(statements: number, perSecond: number | undefined, nowMs: number): number {
    if (perSecond === undefined) return 0;
    const burst = perSecond * BURST_SECONDS;
    const earned = ((nowMs - this.#sinceMs) * perSecond) / 1000;
    this.#sinceMs = nowMs;
    this.#left = Math.min(burst, (this.#left ?? burst) + earned) - statements;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / perSecond);
  }
}
