import { randomBytes } from 'node:crypto';
import { doneOrAborted } from '../../until.ts';

/** Counts changes, and lets long polls wait for the next. */
export class Changes {
  /** A restarted gateway counts anew, and no cursor of the old one may look current. */
  readonly #run = randomBytes(6).toString('hex');
  #count = 0;
  #next = Promise.withResolvers<void>();

  get cursor(): string {
    return `${this.#run}.${this.#count}`;
  }

  happened(): void {
    this.#count += 1;
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Resolves when `cursor` is not the current one, or when the signal aborts. */
  async since(cursor: string, signal: AbortSignal): Promise<void> {
    if (cursor !== this.cursor || signal.aborted) return;
    await doneOrAborted(this.#next.promise, signal);
  }
}
