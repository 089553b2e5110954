/** One piece of work that many wait for, of which none decides how long the others do. */
import { untilAborted } from './until.ts';

interface Running<T> {
  readonly done: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

export class SharedWork<T> {
  #running: Running<T> | undefined;

  /**
   * Waits for what is under way, and begins it when nothing is.
   * @param signal of who waits: who gives up leaves the work to the others, and the last one stops it
   * @param begin gets a signal of the work's own
   * @throws the signal's reason
   */
  async join(signal: AbortSignal, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const running = this.#running ?? this.#begin(begin);
    running.waiting += 1;
    try {
      return await untilAborted(running.done, signal);
    } finally {
      running.waiting -= 1;
      if (running.waiting === 0 && this.#running === running) {
        // At once: who comes next must not wait for work that has been stopped.
        this.#running = undefined;
        running.stop.abort(signal.reason);
      }
    }
  }

  #begin(begin: (signal: AbortSignal) => Promise<T>): Running<T> {
    const stop = new AbortController();
    const done = begin(stop.signal).finally(() => {
      if (this.#running === running) {
        this.#running = undefined;
      }
    });
    const running: Running<T> = { done, stop, waiting: 0 };
    this.#running = running;
    return running;
  }
}
