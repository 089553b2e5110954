/**
 * A lock between processes of one machine that the system gives back when its holder dies, be it by
 * kill -9: that of an empty SQLite database. Node.js has no flock(2).
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** Somebody else has it, and did not give it back in time. */
export class FileIsLocked extends Error {}

/**
 * Held until it is disposed of, or the process ends.
 * @param waitMs for whoever has it now; the process stands still meanwhile
 * @throws FileIsLocked
 */
export function lockFile(path: string, waitMs: number): Disposable {
  const database = new DatabaseSync(path, { timeout: waitMs });
  try {
    chmodSync(path, 0o600);
    // The transaction is the lock: it needs no file besides, and is never committed.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw isLocked(error) ? new FileIsLocked(`"${path}" is locked`, { cause: error }) : error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

/** SQLite says that another process has the file. */
export function isLocked(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}
