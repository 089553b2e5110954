/**
 * One process at a time. The lock is SQLite's on an empty database: the kernel lets go of it when
 * its holder dies, however that happens, so there is no stale lock file to judge by its age.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { HoopError } from '../errors.ts';

/** A refresh takes one request; somebody who waits for longer waits for a process that hangs. */
const LOCK_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/**
 * Runs `act` while no other process holds the lock at `path`.
 * @throws HoopError HOOP_LOCAL_STATE after a minute
 */
export async function withStateLock<T>(
  path: string,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  // A module for the few that change something: it would slow each start.
  const sqlite = await import('node:sqlite');
  const database = new sqlite.DatabaseSync(path, { timeout: 0 });
  try {
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (!tryLock(database)) {
      if (performance.now() > deadline) {
        throw new HoopError('HOOP_LOCAL_STATE', `another hoop process holds "${path}"`, {
          detail: 'It has been busy with the login for more than a minute.',
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

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      return false;
    }
    throw error;
  }
}

async function wait(signal: AbortSignal): Promise<void> {
  try {
    await delay(POLL_MS, undefined, { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
}
