/**
 * Nodes in the store: one row for each data directory that has ever served from it. A lease is a time
 * by the store's clock, which all nodes share.
 */

import {
  change,
  get,
  integer,
  optionalText,
  type Row,
  type Sql,
  type Store,
  sql,
  text,
  type Work,
} from '../store/store.ts';
import type { NodeOwner } from './node-owner.ts';

/** Of a node that ends its sessions at once when it has lost the store; else that time comes on top. */
export const LEASE_MS = 15_000;

export interface NodeRow extends NodeOwner {
  /** stopped: it ended by itself, and has left nothing behind. */
  readonly state: 'live' | 'stopped' | 'taken over';
  /** By the store's clock, ms; 0 and less: its lease is over. */
  readonly leaseLeftMs: number;
  /** See nodePlace. */
  readonly place: string;
  readonly url: string | undefined;
  readonly takenBy: string | undefined;
}

export type Begun =
  | { readonly type: 'begun'; readonly term: number }
  /** Another process has the lease of this id. */
  | { readonly type: 'lives'; readonly row: NodeRow };

/** The methods that are generators are steps of transactions. */
export class NodeStore {
  readonly #store: Store;
  /** What `begin` and `renew` take: nobody takes over before. */
  readonly leaseMs: number;

  /** @param leaseMs as long as this node may go on without an answer, and somewhat more */
  constructor(store: Store, leaseMs = LEASE_MS) {
    this.#store = store;
    this.leaseMs = leaseMs;
  }

  /** Whether it is a database, which other gateways may use too. */
  get isShared(): boolean {
    return this.#store.isShared;
  }

  /**
   * The next term of a node: the one before it is over with that, whoever still runs in it.
   * @param place where the data directory is, which the caller has to itself: a lease that was taken
   *   there died with its process
   */
  begin(id: string, place: string, version: string): Promise<Begun> {
    const { leaseMs } = this;
    return this.#store.transaction(function* (): Work<Begun> {
      yield* change(ADD, { id, place, version });
      const row = nodeRow(yield* get(FIND_LOCKED, { id }));
      if (row === undefined) throw new TypeError('the row of this node is not there');
      if (row.state === 'live' && row.leaseLeftMs > 0 && row.place !== place) {
        return { type: 'lives', row };
      }
      const term = row.term + 1;
      const values = { id, before: row.term, term, place, version, leaseMs };
      const begun = yield* change(BEGIN, values);
      if (begun !== 1) throw new TypeError('the term of this node has changed under its lock');
      return { type: 'begun', term };
    });
  }

  /** @returns false: the term is over, for good */
  async renew({ id, term }: NodeOwner, url?: string): Promise<boolean> {
    const values = { id, term, leaseMs: this.leaseMs, url: url ?? null };
    return (await this.#store.change(RENEW, values)) === 1;
  }

  /** It has ended its sessions, and needs no lease any more. */
  async stop({ id, term }: NodeOwner): Promise<void> {
    await this.#store.change(STOP, { id, term });
  }

  async list(): Promise<readonly NodeRow[]> {
    return (await this.#store.all(LIST)).map((row) => requireRow(row));
  }

  async find(id: string): Promise<NodeRow | undefined> {
    return nodeRow(await this.#store.get(FIND, { id }));
  }

  /** Rows of before there were nodes are of the only one that a store in one file has. */
  async adopt({ id, term }: NodeOwner): Promise<void> {
    await this.#store.transaction(function* () {
      yield* change(ADOPT_SESSIONS, { id, term });
      yield* change(ADOPT_APPROVALS, { id });
    });
  }

  /**
   * Takes over a node that will not come back. If it does come back, it begins another term, and its
   * recordings are there again.
   * @param by id of the node that takes over
   * @param endLeft ends the sessions and requests that the node left behind, in the same transaction
   * @returns undefined if there is no such node, and its row if it lives or was taken over before
   */
  takeOver(id: string, by: string, endLeft: EndLeft): Promise<NodeRow | TakenOver | undefined> {
    return this.#store.transaction(function* (): Work<NodeRow | TakenOver | undefined> {
      const row = nodeRow(yield* get(FIND_LOCKED, { id }));
      if (row === undefined || row.state === 'taken over') return row;
      if (row.state === 'live' && row.leaseLeftMs > 0) return row;
      yield* change(TAKE_OVER, { id, term: row.term + 1, by });
      return { type: 'taken over', term: row.term + 1, ...(yield* endLeft(id, by)) };
    });
  }
}

/** Numbers of the sessions and requests that a node left behind. */
export interface LeftBehind {
  readonly sessions: number;
  readonly requests: number;
}

/** Ends what the node `id` left behind. Requests that outlive a connection become those of `by`. */
export type EndLeft = (id: string, by: string) => Work<LeftBehind>;

export interface TakenOver extends LeftBehind {
  readonly type: 'taken over';
  readonly term: number;
}

/** Milliseconds since 1970 by the store's clock. */
const SQLITE_NOW = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
const POSTGRES_NOW = 'CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)';
export const timed = (text: string, lock = ''): Sql =>
  sql(text.replaceAll('{now}', SQLITE_NOW), text.replaceAll('{now}', POSTGRES_NOW) + lock);

const ROW = `id, term, state, lease_until_ms - {now} AS lease_left_ms, place, url, taken_by`;
const ADD = sql(
  `INSERT INTO nodes (id, term, state, lease_until_ms, place, version)
   VALUES ($id, 0, 'stopped', 0, $place, $version) ON CONFLICT (id) DO NOTHING`,
);
const FIND = timed(`SELECT ${ROW} FROM nodes WHERE id = $id`);
const LIST = timed(`SELECT ${ROW} FROM nodes ORDER BY id`);
const FIND_LOCKED = timed(`SELECT ${ROW} FROM nodes WHERE id = $id`, ' FOR UPDATE');
const BEGIN = timed(
  `UPDATE nodes SET term = $term, state = 'live', lease_until_ms = {now} + $leaseMs,
     place = $place, version = $version, url = NULL, taken_by = NULL
   WHERE id = $id AND term = $before`,
);
const RENEW = timed(
  `UPDATE nodes SET lease_until_ms = {now} + $leaseMs, url = coalesce(CAST($url AS TEXT), url)
   WHERE id = $id AND term = $term AND state = 'live'`,
);
const STOP = sql(
  `UPDATE nodes SET state = 'stopped', lease_until_ms = 0
   WHERE id = $id AND term = $term AND state = 'live'`,
);
const ADOPT_SESSIONS = sql("UPDATE sessions SET node = $id, term = $term WHERE node = ''");
const ADOPT_APPROVALS = sql("UPDATE approvals SET node = $id WHERE node = ''");
const TAKE_OVER = sql(
  `UPDATE nodes SET term = $term, state = 'taken over', lease_until_ms = 0, taken_by = $by
   WHERE id = $id`,
);

function nodeRow(row: Row | undefined): NodeRow | undefined {
  return row && requireRow(row);
}

function requireRow(row: Row): NodeRow {
  return {
    id: text(row['id']),
    term: integer(row['term']),
    // The table's CHECK allows these three and nothing else.
    state: text(row['state']) as NodeRow['state'],
    leaseLeftMs: integer(row['lease_left_ms']),
    place: text(row['place']),
    url: optionalText(row['url']),
    takenBy: optionalText(row['taken_by']),
  };
}
