/** Maximum time and idle time of a session, by a monotonic clock: no jump of the clock ends one. */

import { durationWords } from '../../duration-words.ts';
import type { SessionLimits as Limits } from '../../policy/types.ts';

/** setTimeout takes no more (24.8 days). */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface SessionLimitsOptions {
  /** In force now; they may change while the session lives. */
  readonly limits: () => Limits;
  readonly onReached: (reason: 'expired' | 'idle', message: string) => void;
}

export class SessionLimits implements Disposable {
  readonly #options: SessionLimitsOptions;
  readonly #startedAt = performance.now();
  #activeAt = this.#startedAt;
  #waiting = 0;
  readonly #work = new Set<() => boolean>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SessionLimitsOptions) {
    this.#options = options;
  }

  /** A byte passed, in either direction. */
  active(): void {
    this.#activeAt = performance.now();
  }

  /** The client waits for other people, and is not idle. @returns how to say that it is over. */
  waiting(): () => void {
    this.#waiting += 1;
    return () => {
      this.#waiting -= 1;
      this.active();
    };
  }

  /**
   * Registers a stream whose statements or commands may run for long without a byte.
   * @param isBusy asked when the session would be idle otherwise
   * @returns to be called when the stream has ended
   */
  watchWork(isBusy: () => boolean): () => void {
    this.#work.add(isBusy);
    return () => this.#work.delete(isBusy);
  }

  /** Tells when a limit is reached, else looks again when the nearest one may be. */
  check(): void {
    clearTimeout(this.#timer);
    const { maxTimeSeconds, idleTimeSeconds } = this.#options.limits();
    const now = performance.now();
    if (this.#isBusy) this.#activeAt = now;
    const untilExpiryMs = this.#startedAt + maxTimeSeconds * 1000 - now;
    const untilIdleMs = this.#activeAt + idleTimeSeconds * 1000 - now;
    if (untilExpiryMs <= 0) {
      const after = durationWords(maxTimeSeconds);
      const message = `the policy ends a session after ${after} (limits.maxTime)`;
      this.#options.onReached('expired', message);
    } else if (untilIdleMs <= 0) {
      const after = durationWords(idleTimeSeconds);
      const message = `the policy ends a session that is idle for ${after} (limits.idleTime)`;
      this.#options.onReached('idle', message);
    } else {
      // Rounded up: a timer that fires a fraction early would only fire again.
      const restMs = Math.ceil(Math.min(untilExpiryMs, untilIdleMs, MAX_TIMER_MS));
      this.#timer = setTimeout(() => this.check(), restMs);
    }
  }

  get #isBusy(): boolean {
    return this.#waiting > 0 || [...this.#work].some((isBusy) => isBusy());
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
