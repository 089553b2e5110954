/**
 * Lets others have their turn while one socket has much to say: Node reads up to 2 MB of it before
 * anybody else, and 20,000 errors of a target in them take a second.
 */
import type { Readable } from 'node:stream';

export class ReadTurns {
  readonly #socket: Pick<Readable, 'pause' | 'resume'>;
  readonly #turnMs: number;
  /** When this turn of the event loop began for it; undefined: it has done nothing in it yet. */
  #began: number | undefined;
  /** Why nothing is read now: somebody is slow, or others have their turn. */
  #pauses = 0;

  constructor(socket: Pick<Readable, 'pause' | 'resume'>, turnMs: number) {
    this.#socket = socket;
    this.#turnMs = turnMs;
  }

  /** Call for each chunk: one that comes too late in a turn is the last of it. */
  chunk(): void {
    if (this.#began === undefined) {
      this.#began = performance.now();
      setImmediate(() => {
        this.#began = undefined;
      });
    } else if (performance.now() - this.#began > this.#turnMs) {
      setImmediate(this.pause());
    }
  }

  /** @returns to be called once, when what it waits for is over */
  pause(): () => void {
    this.#pauses += 1;
    this.#socket.pause();
    return () => {
      this.#pauses -= 1;
      if (this.#pauses === 0) this.#socket.resume();
    };
  }
}
