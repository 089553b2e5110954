/**
 * Time that passes only while this process runs. A process that stood still (a machine asleep, a
 * paused virtual machine, Ctrl-Z, a starved machine) finds its timers due before it has read what
 * came meanwhile, and would take its own absence for the other side's silence.
 */
const STEPS = 6;

export class AwakeTimer implements Disposable {
  readonly #onDue: () => void;
  readonly #stepMs: number;
  #left = STEPS;
  #timer: NodeJS.Timeout;

  /** @param afterMs in steps, each of which counts at most once however late it comes. */
  constructor(afterMs: number, onDue: () => void) {
    this.#onDue = onDue;
    this.#stepMs = afterMs / STEPS;
    this.#timer = this.#next();
  }

  #next(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#left -= 1;
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
