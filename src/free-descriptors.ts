/**
 * A process that has no descriptor left has one again in a moment: others that came with it go. Who
 * waits for an answer of the recording waits for 30 s, so a session need not end for it. A thread
 * takes descriptors to start, and the same holds where the system has no thread left.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from './error-code.ts';

const TRY_AGAIN_MS = 250;
/** Together 20 s. */
const TRIES = 80;

/**
 * Does `work` again for as long as it fails because nothing can be opened.
 * @param wait between two tries; for tests
 * @throws what `work` throws for other reasons, or in the end
 */
export async function whenDescriptorsAreFree<T>(
  work: () => Promise<T>,
  wait: () => Promise<unknown> = () => sleep(TRY_AGAIN_MS),
): Promise<T> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await work();
    } catch (error) {
      if (left === 0 || !isWithoutDescriptors(error)) throw error;
    }
    await wait();
  }
}

/** Also of what `new Worker` throws, and of the error of a thread that did not start. */
export function isWithoutDescriptors(error: unknown): boolean {
  return /^(EMFILE|ENFILE|ERR_WORKER_INIT_FAILED)$/.test(errorCode(error) ?? '');
}

/** The same for threads whose work waits in a queue: when the next one may be started. */
export class ThreadStarts implements Disposable {
  readonly #again: () => void;
  #failed = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param again there may be a thread now */
  constructor(again: () => void) {
    this.#again = again;
  }

  get mayStart(): boolean {
    return this.#timer === undefined;
  }

  /** Work that no thread took is given up. */
  get areGivenUp(): boolean {
    return this.#failed >= TRIES;
  }

  /** A thread has answered. */
  succeeded(): void {
    this.#failed = 0;
  }

  /** @returns whether what it was started for waits for the next one */
  failed(): boolean {
    if (this.areGivenUp) return false;
    this.#failed += 1;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#again();
    }, TRY_AGAIN_MS);
    return true;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
