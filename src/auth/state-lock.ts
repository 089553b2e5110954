/** One process at a time. */
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../errors.ts';
import { openLock, tryLock } from '../held-lock.ts';

/** A refresh takes one request; somebody who waits for longer waits for a process that hangs. */
const LOCK_TIMEOUT_MS = 60_000;
const POLL_MS = 25;

/**
 * Runs `act` while no other process holds the lock at `path`.
 * @throws HoopError HOOP_LOCAL_STATE after a minute
 */
export async function withStateLock<T>(
  path: string,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  const database = openLock(path);
  try {
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (!tryLock(database)) {
      if (performance.now() > deadline) {
        throw new HoopError('HOOP_LOCAL_STATE', `another hoop process holds "${path}"`, {
          detail: 'It has held the lock on the login for more than a minute.',
          hint: 'End it, then try again.',
        });
      }
      await wait(signal);
    }
    return await act();
  } finally {
    database.close();
  }
}

async function wait(signal: AbortSignal): Promise<void> {
  try {
    await delay(POLL_MS, undefined, { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}
