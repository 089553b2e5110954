/**
 * One process at a time. The lock is SQLite's on an empty database: the kernel lets go of it when
 * its holder dies, however that happens, so there is no stale lock file to judge by its age.
 */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
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

/**
 * Holds the lock at `path`, which is made, until it is disposed of or this process ends: by it others
 * see that this one lives, also from another namespace of processes, where its number says nothing.
 * @throws HoopError HOOP_LOCAL_STATE when another process has it
 */
export function holdLock(path: string): Disposable {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  const database = openDatabase(path);
  // Else there is a file beside it, which whoever is killed leaves behind.
  database.exec('PRAGMA journal_mode = MEMORY');
  if (!tryLock(database)) {
    database.close();
    throw new HoopError('HOOP_LOCAL_STATE', `another hoop process holds "${path}"`);
  }
  return { [Symbol.dispose]: () => database.close() };
}

/** Whether some process holds it, this one too. What is not there, or is no lock, nobody holds. */
export function isHeld(path: string): boolean {
  if (!existsSync(path)) return false;
  let database: DatabaseSync | undefined;
  try {
    database = openDatabase(path);
    return !tryLock(database);
  } catch {
    return false;
  } finally {
    database?.close();
  }
}

function openDatabase(path: string): DatabaseSync {
  const { DatabaseSync: Database } = process.getBuiltinModule('node:sqlite');
  return new Database(path, { timeout: 0 });
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
