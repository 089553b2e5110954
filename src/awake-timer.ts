/**
 * Time that passes only while this process runs. A process that stood still (a machine asleep, a
 * paused virtual machine, Ctrl-Z, a starved machine) finds its timers due before it has read what
 * came meanwhile, and would take its own absence for the other side's silence.
 */
const STEPS = 6;
/** Steps in a row or not that `counts` may leave out: half as long again as the time itself. */
const MOST_LEFT_OUT = 9;

export class AwakeTimer implements Disposable {
  readonly #onDue: () => void;
  readonly #counts: () => boolean;
  readonly #stepMs: number;
  #left = STEPS;
  #leftOut = 0;
  #timer: NodeJS.Timeout;

  /**
   * @param afterMs in steps, each of which counts at most once however late it comes.
   * @param counts whether the step that ends now does; what the other side can do by it ends after
   *   nine steps that do not.
   */
  constructor(afterMs: number, onDue: () => void, counts: () => boolean = () => true) {
    this.#onDue = onDue;
    this.#counts = counts;
    this.#stepMs = afterMs / STEPS;
    this.#timer = this.#next();
  }

  #next(): NodeJS.Timeout {
    return setTimeout(() => {
      if (this.#leftOut < MOST_LEFT_OUT && !this.#counts()) this.#leftOut += 1;
      else this.#left -= 1;
      if (this.#left === 0) {
        this.#onDue();
      } else {
        this.#timer = this.#next();
      }
    }, this.#stepMs);
  }

  /** All of the time again, and at most a step more. */
  restart(): void {
    this.#left = STEPS + 1;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
