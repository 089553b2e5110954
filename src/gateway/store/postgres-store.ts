/**
 * The store in a PostgreSQL database, 13 or newer. Its transactions are READ COMMITTED: what must not
 * change between two of their steps is locked by them (`locking`), or the step that changes it names
 * what it was.
 */
import pg from 'pg';
import { HoopError } from '../../errors.ts';
import { errorFields, type Log } from '../base/log.ts';
import { openingError, type PostgresConnection } from './postgres-connection.ts';
import { migratePostgres } from './postgres-migrations.ts';
import { POSTGRES_MIGRATIONS } from './postgres-schema.ts';
import { requireUsable, type UsableStore } from './postgres-usable.ts';
import {
  missingValue,
  probe,
  type Row,
  type Sql,
  type SqlValue,
  type SqlValues,
  type Step,
  type StepResult,
  type Store,
  type Work,
} from './store.ts';

export interface PostgresStoreOptions {
  readonly connection: PostgresConnection;
  readonly log: Log;
  /** Longest time for one statement, and for a connection. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 8;
/** Two transactions that wait for each other: one of them is ended, and begins anew. */
const MAX_ATTEMPTS = 5;
/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BEGIN_ANEW: ReadonlySet<unknown> = new Set(['40001', '40P01']);
const INT8 = 20;

const TYPES: NonNullable<pg.ClientConfig['types']> = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8 && format !== 'binary') return integerOf;
    return pg.types.getTypeParser(oid, format);
  },
} as NonNullable<pg.ClientConfig['types']>;

export class PostgresStore implements Store {
  readonly isShared = true;
  readonly #pool: pg.Pool;
  readonly #prepared = new WeakSet<pg.PoolClient>();
  readonly #names = new Map<object, string>();
  readonly #timeoutMs: number;

  private constructor({ connection, log, timeoutMs = TIMEOUT_MS }: PostgresStoreOptions) {
    this.#timeoutMs = timeoutMs;
    this.#pool = new pg.Pool({
      ...connection,
      application_name: 'hoop',
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: timeoutMs,
      // The server's own limit comes first; this is for one that is not there any more.
      query_timeout: timeoutMs + 1000,
      keepAlive: true,
      types: TYPES,
    });
    // Of connections that nobody uses just then; the next use opens another.
    this.#pool.on('error', (error) => log.warn('store.connection_lost', errorFields(error)));
    // Of one that somebody holds just then: what they ask next fails. Unheard, it would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /**
   * Brings the schema up to date.
   * @throws HOOP_STORE_UNAVAILABLE; HOOP_CONFIG where the database cannot be the store of this hoop
   */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    await connectedOnce(options, (client) => migratePostgres(client));
    return new PostgresStore(options);
  }

  /**
   * Changes nothing.
   * @param node an id that it may know
   * @returns what the server is
   * @throws as `open`
   */
  static check(
    options: PostgresStoreOptions,
    node = '',
  ): Promise<UsableStore & { readonly knowsNode: boolean }> {
    return connectedOnce(options, async (client) => {
      const usable = await requireUsable(client, POSTGRES_MIGRATIONS);
      return { ...usable, knowsNode: await knowsNode(client, node) };
    });
  }

  async transaction<T>(work: () => Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#withClient((client) => this.#attempt(client, work));
      } catch (error) {
        if (error instanceof WorkFailed) throw error.cause;
        if (!BEGIN_ANEW.has(codeOf(error)) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async all(sql: Sql, values: SqlValues = {}): Promise<readonly Row[]> {
    return (await this.#withClient((client) => this.#run(client, { sql, values }))).rows;
  }

  async get(sql: Sql, values: SqlValues = {}): Promise<Row | undefined> {
    return (await this.all(sql, values))[0];
  }

  async change(sql: Sql, values: SqlValues = {}): Promise<number> {
    return (await this.#withClient((client) => this.#run(client, { sql, values }))).changes;
  }

  async checkWritable(): Promise<void> {
    await this.transaction(probe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end();
  }

  async #attempt<T>(client: pg.PoolClient, work: () => Work<T>): Promise<T> {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    try {
      const steps = work();
      let next = ofWork(() => steps.next());
      while (next.done !== true) {
        const result = await this.#run(client, next.value);
        next = ofWork(() => steps.next(result));
      }
      await client.query('COMMIT');
      return next.value;
    } catch (error) {
      if (!isUnavailable(error)) await client.query('ROLLBACK');
      throw error;
    }
  }

  async #run(client: pg.PoolClient, step: Step): Promise<StepResult> {
    const { rows, rowCount } = await client.query({
      name: this.#nameOf(step.sql),
      text: step.sql.postgres,
      values: 'rows' in step ? columnsOf(step) : valuesOf(step),
    });
    return { rows, changes: rowCount ?? 0 };
  }

  /** Each connection parses and plans a statement once. */
  #nameOf(sql: object): string {
    let name = this.#names.get(sql);
    if (name === undefined) {
      name = `hoop_${this.#names.size}`;
      this.#names.set(sql, name);
    }
    return name;
  }

  /** @throws HOOP_STORE_UNAVAILABLE where there is no connection, or it is of no use any more. */
  async #withClient<T>(use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined;
    let broken = false;
    try {
      client = await this.#pool.connect();
      await this.#prepare(client);
      return await use(client);
    } catch (error) {
      if (!(client === undefined || isUnavailable(error))) throw error;
      broken = true;
      throw unavailable(error);
    } finally {
      client?.release(broken);
    }
  }

  /** Whatever the role or the database has as its defaults. */
  async #prepare(client: pg.PoolClient): Promise<void> {
    if (this.#prepared.has(client)) return;
    // `off` and `local` lose what was said to be durable, or what a standby takes over with.
    await client.query(
      `SELECT set_config('synchronous_commit', 'on', false)
       WHERE current_setting('synchronous_commit') IN ('off', 'local')`,
    );
    await client.query(
      `SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false),
         set_config('idle_in_transaction_session_timeout', $1, false)`,
      [String(this.#timeoutMs)],
    );
    this.#prepared.add(client);
  }
}

/** Without the limits that hold while the gateway runs. */
async function connectedOnce<T>(
  { connection, timeoutMs = TIMEOUT_MS }: PostgresStoreOptions,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    ...connection,
    application_name: 'hoop',
    connectionTimeoutMillis: timeoutMs,
    types: TYPES,
  });
  // Who waits for an answer is told of it, too.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } catch (error) {
    // 42501: the role may not connect; nothing else is asked that its rights are not looked at before.
    const isOfServer = isUnavailable(error) || codeOf(error) === '42501';
    throw isOfServer ? openingError(error, connection) : error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function knowsNode(client: pg.ClientBase, node: string): Promise<boolean> {
  const { rows } = await client.query("SELECT 1 WHERE to_regclass('nodes') IS NOT NULL");
  if (rows.length === 0) return false;
  return (await client.query('SELECT 1 FROM nodes WHERE id = $1', [node])).rows.length > 0;
}

function unavailable(cause: unknown): HoopError {
  return new HoopError('HOOP_STORE_UNAVAILABLE', 'the gateway’s store does not answer', {
    hint: 'Whoever runs the gateway must check the database that its configuration names as `store`.',
    cause,
  });
}

/** What the work itself throws: it says nothing about the connection. */
class WorkFailed extends Error {}

/** @throws WorkFailed */
function ofWork<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new WorkFailed('the work of a transaction failed', { cause });
  }
}

/** @throws TypeError */
function valuesOf({ sql, values }: Extract<Step, { values: unknown }>): SqlValue[] {
  const missing = missingValue(sql, values);
  if (missing !== undefined) throw missing;
  return sql.names.map((name) => checked(values[name] ?? null));
}

function columnsOf({ sql, rows }: Extract<Step, { rows: unknown }>): SqlValue[][] {
  return sql.columns.map((_, index) => rows.map((row) => checked(row[index] ?? null)));
}

/**
 * PostgreSQL knows no U+0000, and UTF-8 no half of a surrogate pair: replaced, two different names
 * would become one.
 */
function checked(value: SqlValue): SqlValue {
  if (typeof value === 'string' && (value.includes('\0') || !value.isWellFormed())) {
    throw new TypeError('a text that the store cannot hold');
  }
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError('a number that the store cannot hold');
  }
  return value;
}

function integerOf(digits: string): number {
  const value = Number(digits);
  if (!Number.isSafeInteger(value)) throw new TypeError('the store holds a number beyond 2^53');
  return value;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/**
 * SQLSTATEs of a server that cannot serve now, or not in time: the connection (08, 28), resources (53),
 * time-outs and shutdowns (57, 55P03, 25P03), the system (58), a standby (25006), no such database (3D).
 */
const UNAVAILABLE = /^(08|28|53|57|58|3D)|^(55P03|25P03|25006)$/;

/** What is no answer of the server is a connection that has broken, or was never there. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return UNAVAILABLE.test(error.code ?? '');
  return !(error instanceof TypeError || error instanceof HoopError || error instanceof WorkFailed);
}
