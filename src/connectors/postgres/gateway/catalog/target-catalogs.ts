/**
 * One catalog per target and credential, read on a connection of the gateway's own that is opened
 * when it is needed and released when it is idle.
 */

import { HoopError } from '../../../../errors.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';
import { onAbort } from '../../../../until.ts';
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import type { BoundedOutcome } from '../../policy/parse/parse-outcome.ts';
import type { SqlParser } from '../../policy/parse/parser.ts';
import type { TriggerBody } from '../../policy/triggers/trigger-body.ts';
import { connectTarget, type TargetConnection } from '../target/target-connection.ts';
import type { CatalogMasks, CatalogSource, PostgresTarget } from '../types.ts';
import { openCatalogSource } from './catalog-reader.ts';

type Rows = Awaited<ReturnType<TargetConnection['query']>>;

const IDLE_MS = 60_000;
/** Beyond statement_timeout: then the target, or the way to it, is gone without a word. */
const ANSWER_WITHIN_MS = 40_000;
const STARTUP = new Map([['application_name', 'hoop catalog']]);
/**
 * A lock on the catalog must not hold all sessions for ever; and the definition of a view takes a lock
 * on its tables: an open ALTER TABLE, perhaps of the very client that waits for its verdict, would hold
 * it until the first of these. They stand ahead of each query, since a pooler on the way may refuse
 * settings at startup, or drop them, as PgBouncer does. LOCAL: its connection is somebody else's next.
 * Between two queries of a reading others have their turn, which may take longer than the role may idle.
 */
const SETTINGS =
  'SET LOCAL statement_timeout = 30000; SET LOCAL lock_timeout = 2000; SET LOCAL idle_in_transaction_session_timeout = 0; ';
/**
 * Whatever encoding database or role have: a name that is read in another one is none, and a mask on
 * it would hold for nothing.
 */
const ENCODING = 'SET LOCAL client_encoding = UTF8; ';
/** Encodings of a server that cannot be converted; what is no UTF-8 in them would fail the query. */
const NOT_CONVERTED: readonly (string | undefined)[] = ['SQL_ASCII', 'MULE_INTERNAL'];

export class TargetCatalogs implements AsyncDisposable {
  readonly #parser: SqlParser;
  readonly #masksOf: ((target: string) => CatalogMasks) | undefined;
  readonly #entries = new Map<string, { source: CatalogSource; connection: CatalogConnection }>();

  /** @param masksOf what masks are bound to, by target; absent: there are none */
  constructor(parser: SqlParser, masksOf?: (target: string) => CatalogMasks) {
    this.#parser = parser;
    this.#masksOf = masksOf;
  }

  /** Other columns are masked now: none rests on what was found for those of before. */
  masksChanged(): void {
    for (const { source } of this.#entries.values()) {
      // The least that makes it look again, and thereby bind them.
      source.invalidate?.('relations', 'another');
    }
  }

  source(target: PostgresTarget): CatalogSource {
    const { name, hosts, sessionAttributes, database, user } = target;
    const places = hosts.map(({ host, port }) => [host, port]);
    const key = JSON.stringify([name, places, sessionAttributes, database, user]);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      // The password may have been rotated since.
      known.connection.target = target;
      return known.source;
    }
    // A restart, or a database made anew under the same name: nothing of what was read needs to hold.
    const connection = new CatalogConnection(target, () => source.invalidate?.('all', 'another'));
    const source = openCatalogSource({
      query: (sql) => connection.query(sql),
      parse: (text) => this.#parse(text),
      parseTrigger: (text) => this.#parseTrigger(text),
      now: () => performance.now(),
      onChange: (scope) => this.#changed(target, scope),
      ...(this.#masksOf === undefined ? {} : { masks: this.#masksOf(name) }),
    });
    this.#entries.set(key, { source, connection });
    return source;
  }

  /**
   * The catalog of the one host that a connection has reached: a standby may be behind, and what is
   * true of another server would be no basis for a verdict about this one.
   */
  sourceOf(target: PostgresTarget, host: TargetHost): CatalogSource {
    return this.source({ ...target, hosts: [host], sessionAttributes: 'any' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map(({ connection }) => connection.close()));
  }

  /** Who reads the same database with another credential, or as another target, has to look again, too. */
  #changed(target: PostgresTarget, scope: ChangeScope): void {
    for (const { source, connection } of this.#entries.values()) {
      if (isSameDatabase(target, connection.target)) source.invalidate?.(scope, 'another');
    }
  }

  async #parse(text: string): Promise<unknown> {
    return treeOf(await this.#parser.parse(text));
  }

  async #parseTrigger(text: string): Promise<TriggerBody | undefined> {
    const found = treeOf(await this.#parser.parseTrigger(text));
    // As the thread has sent it.
    return (found as { readonly body?: TriggerBody } | undefined)?.body;
  }
}

function treeOf(outcome: BoundedOutcome): unknown {
  // Too large or too deep is so for good, as is what is no SQL; a parser that broke is replaced, and
  // one that could not be started comes later.
  if (outcome.type === 'refused' && /^(parser|thread)$/.test(outcome.reason)) {
    throw new HoopError('HOOP_UNPARSED', 'a definition in the catalog could not be parsed');
  }
  return outcome.type === 'tree' ? outcome.tree : undefined;
}

/** As far as addresses tell. */
function isSameDatabase(one: PostgresTarget, other: PostgresTarget): boolean {
  const isAmong = (place: TargetHost): boolean =>
    other.hosts.some(({ host, port }) => host === place.host && port === place.port);
  const isSamePlace = one.name === other.name || one.hosts.some(isAmong);
  return one.database === other.database && isSamePlace;
}

class CatalogConnection {
  target: PostgresTarget;
  readonly #onLost: () => void;
  readonly #closing = new AbortController();
  #open: TargetConnection | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Queries run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param onLost the other end has ended it */
  constructor(target: PostgresTarget, onLost: () => void) {
    this.target = target;
    this.#onLost = onLost;
  }

  query(sql: string): Promise<Rows> {
    const result = this.#last.then(() => this.#query(sql));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#closing.abort(new HoopError('HOOP_SESSION_ENDED', 'the gateway is shutting down'));
    await this.#last;
    await this.#release();
  }

  async #query(sql: string): Promise<Rows> {
    clearTimeout(this.#idle);
    const kept = this.#open;
    if (kept !== undefined) {
      try {
        return await this.#ask(kept, sql);
      } catch (error) {
        const hasBegun = kept.isInTransaction;
        await this.#release();
        // What was begun on it is gone with it.
        if (hasBegun) throw error;
        // The target may have been restarted since the last query; a new connection tells.
      } finally {
        this.#releaseLater();
      }
    }
    const opened = await connectTarget({
      target: this.target,
      startup: STARTUP,
      signal: this.#closing.signal,
    });
    this.#open = opened;
    opened.socket.once('close', () => {
      if (this.#open === opened) this.#onLost();
    });
    try {
      return await this.#ask(opened, sql);
    } catch (error) {
      await this.#release();
      throw error;
    } finally {
      this.#releaseLater();
    }
  }

  /** A connection that says nothing is closed, which fails the query: nobody waits for ever. */
  async #ask(connection: TargetConnection, sql: string): Promise<Rows> {
    const silent = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const over = AbortSignal.any([this.#closing.signal, silent]);
    using _ = onAbort(over, () => connection.socket.destroy());
    const isConverted = !NOT_CONVERTED.includes(connection.parameters.get('server_encoding'));
    return await connection.query(`${SETTINGS}${isConverted ? ENCODING : ''}${sql}`);
  }

  #releaseLater(): void {
    clearTimeout(this.#idle);
    if (this.#open !== undefined && !this.#closing.signal.aborted) {
      this.#idle = setTimeout(() => void this.#release(), IDLE_MS);
      this.#idle.unref();
    }
  }

  async #release(): Promise<void> {
    clearTimeout(this.#idle);
    const open = this.#open;
    this.#open = undefined;
    await open?.close();
  }
}
