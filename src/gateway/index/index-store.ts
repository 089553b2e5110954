/**
 * The gateway's SQLite database. One user, this process: a second gateway would take this one's live
 * sessions for what a crash has left. The lock on the data directory keeps out gateways of this version;
 * the exclusive lock also those of before it, and whoever else opens the file. WAL with synchronous=FULL,
 * so that what was committed survives a power cut. Statement rows arrive by the thousand and are batched:
 * they can be made again from the recordings. Everything else is durable when the call returns.
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { HoopError } from '../../errors.ts';
import { isLocked } from '../base/file-lock.ts';
import { MIGRATIONS } from '../store/schema.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { integer } from '../store/store.ts';

/** A gateway that is just stopping gives the lock back within this time. */
const LOCK_WAIT_MS = 2000;

export class IndexStore implements Disposable {
  readonly database: DatabaseSync;
  /** The same behind the interface that PostgreSQL has, too. */
  readonly store: SqliteStore;

  private constructor(database: DatabaseSync) {
    this.database = database;
    this.store = new SqliteStore(database);
  }

  /** @throws HOOP_LOCAL_STATE when the file cannot be opened or is of a newer version. */
  static open(path: string, lockWaitMs = LOCK_WAIT_MS): IndexStore {
    let database: DatabaseSync;
    try {
      database = new DatabaseSync(path, {
        enableForeignKeyConstraints: true,
        timeout: lockWaitMs,
      });
      chmodSync(path, 0o600);
      database.exec(
        'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;',
      );
    } catch (cause) {
      throw new HoopError('HOOP_LOCAL_STATE', `cannot open the index "${path}"`, {
        detail: isLocked(cause) ? 'Another gateway uses this data directory.' : undefined,
        hint: isLocked(cause) ? 'Stop it first, or use another dataDir for this one.' : undefined,
        cause,
      });
    }
    try {
      migrate(database, path);
    } catch (error) {
      database.close();
      throw error;
    }
    return new IndexStore(database);
  }

  [Symbol.dispose](): void {
    if (this.database.isOpen) {
      this.database.close();
    }
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const row = database.prepare('PRAGMA user_version').get();
  const version = integer(row?.['user_version']);
  if (version > MIGRATIONS.length) {
    throw new HoopError('HOOP_LOCAL_STATE', `the index "${path}" was written by a newer hoop`, {
      detail: `It has version ${version}; this hoop knows ${MIGRATIONS.length}.`,
      hint: 'Start the newer version, or use another data directory.',
    });
  }
  const next = MIGRATIONS.slice(version);
  if (next.length > 0) {
    // All or nothing, and the disk is waited for once. What fails is rolled back by the close.
    database.exec(
      `BEGIN IMMEDIATE; ${next.join('')} PRAGMA user_version = ${MIGRATIONS.length}; COMMIT;`,
    );
  }
}
