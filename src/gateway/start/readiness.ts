/** Why the gateway cannot do its work now, for whoever balances load over several of them. */
import { errorFields, type Log } from '../base/log.ts';

/** Anybody may ask, and one check is a write that waits for the disk. */
const CHECK_EVERY_MS = 1000;

export interface ReadinessOptions {
  readonly hasPolicy: () => boolean;
  /** @throws when the index cannot be written */
  readonly checkWritable: () => Promise<void>;
  /** To record another session. */
  readonly hasRoom: () => boolean;
  /** Another node has taken over what this one had; it never signs anything again. */
  readonly isTakenOver: () => boolean;
  readonly log: Log;
  readonly clock: () => number;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #isWritable = Promise.resolve(false);

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Public: says what is wrong, not with which file or host; the log does. Empty: ready. */
  async reasons(): Promise<string[]> {
    return [
      ...(this.#options.hasPolicy() ? [] : ['no policy is in force']),
      ...(this.#options.hasRoom() ? [] : ['the disk has too little space for new sessions']),
      ...(this.#options.isTakenOver() ? ['it was taken over and must be restarted'] : []),
      ...((await this.#writable()) ? [] : ['the index cannot be written']),
    ];
  }

  #writable(): Promise<boolean> {
    const nowMs = this.#options.clock();
    // Also when the clock was set back: an old result must not hold for ever.
    if (Math.abs(nowMs - this.#checkedAtMs) >= CHECK_EVERY_MS) {
      this.#checkedAtMs = nowMs;
      // Whoever asks meanwhile waits for the same answer.
      this.#isWritable = this.#check();
    }
    return this.#isWritable;
  }

  async #check(): Promise<boolean> {
    try {
      await this.#options.checkWritable();
      return true;
    } catch (error) {
      this.#options.log.error('index.not_writable', errorFields(error));
      return false;
    }
  }
}
