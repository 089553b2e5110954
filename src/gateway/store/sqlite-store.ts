/**
 * The store of one gateway in one file: SQLite. A transaction is done when the call returns, without
 * the event loop turning in between, so nothing can come between its steps.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BulkSql,
  missingValue,
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
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<Sql | BulkSql, StatementSync>();

  /** @param database open, with its schema. */
  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async transaction<T>(work: () => Work<T>): Promise<T> {
    return this.transactionNow(work);
  }

  /** For who cannot wait; PostgreSQL has nothing like it. */
  transactionNow<T>(work: () => Work<T>): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const steps = work();
      let next = steps.next();
      while (next.done !== true) {
        next = steps.next(this.#run(next.value));
      }
      this.#database.exec('COMMIT');
      return next.value;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  async all(sql: Sql, values: SqlValues = {}): Promise<readonly Row[]> {
    return this.#run({ sql, values }).rows;
  }

  async get(sql: Sql, values: SqlValues = {}): Promise<Row | undefined> {
    return this.#run({ sql, values }).rows[0];
  }

  async change(sql: Sql, values: SqlValues = {}): Promise<number> {
    return this.#run({ sql, values }).changes;
  }

  async checkWritable(): Promise<void> {
    this.#database.exec(
      `BEGIN IMMEDIATE; INSERT INTO spent VALUES ('probe', 0) ON CONFLICT DO NOTHING;
       DELETE FROM spent WHERE digest = 'probe'; COMMIT`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
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
