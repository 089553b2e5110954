/**
 * What the gateway keeps, behind one asynchronous interface; docs/design/0023-store.md has the rules.
 * The SQL stands with what it is about (logins, approvals, ...) and is the same text for each driver,
 * but for what SQLite and PostgreSQL spell differently.
 */

export type SqlValue = string | number | Uint8Array | null;
/** By name; in SQL `$name`. */
export type SqlValues = Readonly<Record<string, SqlValue>>;
/** Integers are numbers, texts are well formed, bytes are Uint8Array. */
export type Row = Readonly<Record<string, unknown>>;

export interface Sql {
  readonly kind: 'sql';
  /** SQLite takes parameters by name. */
  readonly sqlite: string;
  /** PostgreSQL by number, in the order of `names`. */
  readonly postgres: string;
  readonly names: readonly string[];
  /** It has rows to give; of others it is told how many they have changed. */
  readonly hasRows: boolean;
}

/** Adds many rows of one table at once. Each row has one value for each column. */
export interface BulkSql {
  readonly kind: 'bulk';
  readonly columns: readonly string[];
  readonly sqlite: string;
  readonly postgres: string;
  readonly hasRows: boolean;
}

/** One thing that a transaction asks of the store. */
export type Step =
  | { readonly sql: Sql; readonly values: SqlValues }
  | { readonly sql: BulkSql; readonly rows: readonly (readonly SqlValue[])[] };

export interface StepResult {
  readonly rows: readonly Row[];
  /** How many rows were added, changed or removed. */
  readonly changes: number;
}

/**
 * The steps of one transaction, as a generator: between them it can wait for nothing but the store, and
 * a driver that has to begin anew (a deadlock) calls it again. So it changes nothing outside of itself.
 */
export type Work<T> = Generator<Step, T, StepResult>;

export interface Store extends AsyncDisposable {
  /** Other processes may use it at the same time. */
  readonly isShared: boolean;
  /**
   * All or nothing; durable when it resolves. It may have been begun more than once. A step that fails
   * ends it.
   * @throws what `work` throws, and what the database says: then nothing was changed, or, where the
   *   connection broke at the end, it is not known (HOOP_STORE_UNAVAILABLE); HOOP_DISK_FULL
   */
  transaction<T>(work: () => Work<T>): Promise<T>;
  /** One statement, all of its rows. */
  all(sql: Sql, values?: SqlValues): Promise<readonly Row[]>;
  /** One statement, its first row. */
  get(sql: Sql, values?: SqlValues): Promise<Row | undefined>;
  /** One statement. @returns how many rows were added, changed or removed */
  change(sql: Sql, values?: SqlValues): Promise<number>;
  /** @throws when nothing can be written; readiness asks this */
  checkWritable(): Promise<void>;
}

const HAS_ROWS = /^\s*(SELECT|WITH)\b(?![\s\S]*\b(INSERT|UPDATE|DELETE)\b)|\bRETURNING\b/;

/** @param postgres where it is spelt differently there */
export function sql(text: string, postgres: string = text): Sql {
  const names: string[] = [];
  const numbered = postgres.replace(/\$([a-zA-Z]\w*)/g, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return { kind: 'sql', sqlite: text, postgres: numbered, names, hasRows: HAS_ROWS.test(text) };
}

/**
 * Whoever reads these rows in a transaction has them to itself until its end. SQLite has one writer
 * anyway.
 * @param how `FOR UPDATE`, `FOR SHARE`
 */
export function locking(text: string, how: 'FOR UPDATE' | 'FOR SHARE'): Sql {
  return sql(text, `${text} ${how}`);
}

/**
 * @param columns of the table, with PostgreSQL's type for each
 * @param rest what follows the rows: ON CONFLICT, RETURNING
 */
export function bulk(
  table: string,
  columns: Readonly<Record<string, 'text' | 'bigint'>>,
  rest = '',
): BulkSql {
  const names = Object.keys(columns);
  const into = `INSERT INTO ${table} (${names.join(', ')})`;
  const arrays = Object.values(columns).map((type, index) => `$${index + 1}::${type}[]`);
  return {
    kind: 'bulk',
    columns: names,
    sqlite: `${into} VALUES (${names.map(() => '?').join(', ')}) ${rest}`,
    postgres: `${into} SELECT * FROM unnest(${arrays.join(', ')}) ${rest}`,
    hasRows: HAS_ROWS.test(rest),
  };
}

export function* all(sql: Sql, values: SqlValues = {}): Work<readonly Row[]> {
  return (yield { sql, values }).rows;
}

export function* get(sql: Sql, values: SqlValues = {}): Work<Row | undefined> {
  return (yield { sql, values }).rows[0];
}

export function* change(sql: Sql, values: SqlValues = {}): Work<number> {
  return (yield { sql, values }).changes;
}

const PROBE = sql("INSERT INTO spent VALUES ('probe', 0) ON CONFLICT DO NOTHING");
const FORGET_PROBE = sql("DELETE FROM spent WHERE digest = 'probe'");

/** Writes something, and takes it away again. */
export function* probe(): Work<void> {
  yield* change(PROBE);
  yield* change(FORGET_PROBE);
}

/** @returns what RETURNING says of those that were added or changed */
export function* addAll(
  sql: BulkSql,
  rows: readonly (readonly SqlValue[])[],
): Work<readonly Row[]> {
  return rows.length === 0 ? [] : (yield { sql, rows }).rows;
}

/** @returns how many were added or changed */
export function* countAdded(sql: BulkSql, rows: readonly (readonly SqlValue[])[]): Work<number> {
  return rows.length === 0 ? 0 : (yield { sql, rows }).changes;
}

/** A column value as it comes from the store, checked: the schema is strict, rows are ours. */
export function text(value: unknown): string {
  if (typeof value !== 'string') {
    throw new TypeError(`the store holds ${typeof value} where text is expected`);
  }
  return value;
}

export function optionalText(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : text(value);
}

export function integer(value: unknown): number {
  if (typeof value !== 'number') {
    throw new TypeError(`the store holds ${typeof value} where a number is expected`);
  }
  return value;
}

export function nullable(value: string | number | undefined): string | number | null {
  return value ?? null;
}

/** SQLite takes what was not given for NULL. @returns undefined: all are there */
export function missingValue({ names }: Sql, values: SqlValues): TypeError | undefined {
  const missing = names.find((name) => values[name] === undefined);
  return missing === undefined ? undefined : new TypeError(`no value for "$${missing}"`);
}

/** For texts of others that are shown and looked for, and tell nobody from anybody else. */
export function storable(value: string): string;
export function storable(value: string | undefined): string | undefined;
export function storable(value: string | undefined): string | undefined {
  // Mostly there is nothing to do, and this is asked for each statement.
  if (value === undefined || (value.isWellFormed() && !value.includes('\0'))) return value;
  return value.toWellFormed().replaceAll('\0', '\ufffd');
}
