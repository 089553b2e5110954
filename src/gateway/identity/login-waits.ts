/**
 * Requests that wait for the end of their login: a run has nothing else open while its program does
 * not use a target, and is to hear at once that it was ended.
 */
import { HoopError } from '../../errors.ts';
import { doneOrAborted } from '../../until.ts';
import type { Identity } from './identity.ts';

/** Below the client's timeout. */
export const MAX_WAIT_SECONDS = 25;
const MAX_WAITS = 5000;

export class LoginWaits {
  /** By login. One each: a second request is by whoever has lost the answer to the first. */
  readonly #waits = new Map<string, () => void>();

  constructor(identity: Pick<Identity, 'onRevoked'>) {
    identity.onRevoked((family) => this.#waits.get(family)?.());
  }

  /**
   * Resolves when the login has ended, or for the abort of `signal`.
   * @throws HoopError HOOP_LIMIT
   */
  async until(family: string, signal: AbortSignal): Promise<void> {
    if (this.#waits.size >= MAX_WAITS && !this.#waits.has(family)) {
      throw new HoopError('HOOP_LIMIT', 'too many requests are waiting for their login to end');
    }
    this.#waits.get(family)?.();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waits.set(family, resolve);
    await doneOrAborted(promise, signal);
    if (this.#waits.get(family) === resolve) {
      this.#waits.delete(family);
    }
  }
}
