/**
 * The store of one gateway in one file: SQLite. A transaction is done when the call returns, without
 * the event loop turning in between, so nothing can come between its steps.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HoopError } from '../../errors.ts';
import {
  type BulkSql,
  missingValue,
  probe,
  type Row,
  type Sql,
  type SqlValues,
  type Step,
  type StepResult,
  type Store,
  type Work,
} from './store.ts';

const NO_ROWS: readonly Row[] = [];

export class SqliteStore implements Store {
  readonly isShared = false;
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<Sql | BulkSql, StatementSync>();

  /** @param database open, with its schema. */
  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async transaction<T>(work: () => Work<T>): Promise<T> {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      const steps = work();
      let next = steps.next();
      while (next.done !== true) {
        next = steps.next(this.#run(next.value));
      }
      this.#database.exec('COMMIT');
      return next.value;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw inClearWords(error);
    }
  }

  async all(sql: Sql, values: SqlValues = {}): Promise<readonly Row[]> {
    return this.#runAlone(sql, values).rows;
  }

  async get(sql: Sql, values: SqlValues = {}): Promise<Row | undefined> {
    return this.#runAlone(sql, values).rows[0];
  }

  async change(sql: Sql, values: SqlValues = {}): Promise<number> {
    return this.#runAlone(sql, values).changes;
  }

  async checkWritable(): Promise<void> {
    await this.transaction(probe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #runAlone(sql: Sql, values: SqlValues): StepResult {
    try {
      return this.#run({ sql, values });
    } catch (error) {
      throw inClearWords(error);
    }
  }

  #run(step: Step): StepResult {
    return 'rows' in step ? this.#runBulk(step) : this.#runOne(step);
  }

  #runOne({ sql, values }: Extract<Step, { values: unknown }>): StepResult {
    const missing = missingValue(sql, values);
    if (missing !== undefined) throw missing;
    const statement = this.#prepare(sql);
    if (sql.hasRows) {
      const rows = statement.all(values);
      return { rows, changes: rows.length };
    }
    return { rows: NO_ROWS, changes: Number(statement.run(values).changes) };
  }

  #runBulk({ sql, rows }: Extract<Step, { rows: unknown }>): StepResult {
    const statement = this.#prepare(sql);
    if (sql.hasRows) {
      const all = rows.map((row) => statement.get(...row)).filter((row) => row !== undefined);
      return { rows: all, changes: all.length };
    }
    let changes = 0;
    for (const row of rows) changes += Number(statement.run(...row).changes);
    return { rows: NO_ROWS, changes };
  }

  #prepare(sql: Sql | BulkSql): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql.sqlite);
      // One set of values may serve several statements; that none is missing is checked above.
      statement.setAllowUnknownNamedParameters(true);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

/** Result codes, of which the low byte is the primary one: https://www.sqlite.org/rescode.html */
const FULL = 13;
/** BUSY, LOCKED, NOMEM, READONLY, IOERR, CANTOPEN, PROTOCOL. */
const UNAVAILABLE: ReadonlySet<number> = new Set([5, 6, 7, 8, 10, 14, 15]);

/** @returns the error itself, where it says nothing about the disk or the file */
function inClearWords(error: unknown): unknown {
  if (!(error instanceof Error && 'errcode' in error)) return error;
  const code = Number(error.errcode) & 0xff;
  if (code === FULL) {
    return new HoopError('HOOP_DISK_FULL', 'the gateway’s store has no disk space left', {
      hint: 'Whoever runs the gateway must free space on the disk with its data.',
      cause: error,
    });
  }
  if (!UNAVAILABLE.has(code)) return error;
  return new HoopError('HOOP_STORE_UNAVAILABLE', 'the gateway’s store cannot be read or written', {
    hint: 'Whoever runs the gateway must check the disk with its data.',
    cause: error,
  });
}
