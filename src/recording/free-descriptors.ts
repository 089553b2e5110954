/**
 * A process that has no descriptor left has one again in a moment: others that came with it go. Who
 * waits for an answer of the recording waits for 30 s, so a session need not end for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../error-code.ts';

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

export function isWithoutDescriptors(error: unknown): boolean {
  return /^(EMFILE|ENFILE)$/.test(errorCode(error) ?? '');
}
