/**
 * Locks of processes. Each is SQLite's on an empty database: the kernel lets go of it when its holder
 * dies, however that happens, so there is no stale lock file to judge by its age, and no number of a
 * process, which another one may have by now, or in another namespace.
 */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { HoopError } from './errors.ts';

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
/** The low byte of any code that says more. */
const REASONS: Readonly<Record<number, string>> = {
  8: 'it is read-only',
  10: 'the disk has a fault, or no room',
  13: 'the disk is full',
};

/** What is collected lets go of its lock, whoever still counts on it. */
const held = new Set<DatabaseSync>();

/**
 * Holds the lock at `path`, which is made, until it is disposed of or this process ends: by it others
 * see that this one lives, also from another namespace of processes, where its number says nothing.
 * @throws HoopError HOOP_LOCAL_STATE when another process has it
 */
export function holdLock(path: string): Disposable {
  const database = openLock(path);
  // Else there is a file beside it, which whoever is killed leaves behind.
  if (!tryLock(database, 'PRAGMA journal_mode = MEMORY; ')) {
    database.close();
    throw new HoopError('HOOP_LOCAL_STATE', `another hoop process holds "${path}"`);
  }
  held.add(database);
  return {
    [Symbol.dispose]: () => {
      if (held.delete(database)) database.close();
    },
  };
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

/** Makes the file when it is not there. */
export function openLock(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  return openDatabase(path);
}

function openDatabase(path: string): DatabaseSync {
  // A module for the few that lock something: it would slow each start.
  const { DatabaseSync: Database } = process.getBuiltinModule('node:sqlite');
  return new Database(path, { timeout: 0 });
}

/**
 * @param before what is said first; it needs the lock, too
 * @throws HoopError HOOP_LOCAL_STATE: it cannot be locked by anybody
 */
export function tryLock(database: Pick<DatabaseSync, 'exec' | 'location'>, before = ''): boolean {
  try {
    database.exec(`${before}BEGIN EXCLUSIVE`);
    return true;
  } catch (cause) {
    const code = cause instanceof Error && 'errcode' in cause ? Number(cause.errcode) & 0xff : 0;
    if (code === SQLITE_BUSY) return false;
    const reason = REASONS[code];
    if (reason === undefined) throw cause;
    throw new HoopError('HOOP_LOCAL_STATE', `cannot lock "${database.location()}": ${reason}`, {
      hint: 'Make room, or name a directory that can be written in HOOP_HOME or the XDG variables.',
      cause,
    });
  }
}
