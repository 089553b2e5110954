/** Statements in the index: decisions and results, written in batches. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RecordingEvent } from '../../recording/types.ts';
import {
  addAll,
  all,
  type BulkSql,
  bulk,
  change,
  countAdded,
  get,
  integer,
  nullable,
  type SqlValue,
  type Store,
  sql,
  storable,
  text,
  type Work,
} from '../store/store.ts';
import {
  type Decision,
  type Known,
  type KnownSession,
  type Pending,
  placeOf,
  type Result,
} from './pending-statement.ts';
import { secondDecisions } from './second-decisions.ts';
import { factCount, MAX_FACTS, TouchedLists } from './touched-lists.ts';

/** Rows wait at most this long, or until there are this many. */
const FLUSH_AFTER_MS = 100;
const FLUSH_AT_EVENTS = 500;

/** What one lot adds to a session. */
interface SessionBatch {
  readonly number: number;
  statements: number;
  denied: number;
  maskedValues: number;
}

const MAX_KNOWN_SESSIONS = 1000;

/** What is learnt while a lot is written; it is true when the lot is there. */
interface Learnt {
  readonly sessions: ReadonlyMap<string, KnownSession>;
  readonly touched: ReadonlyMap<string, number>;
}

export class StatementIndex {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #doesActs: (kind: string) => boolean;
  #pending: Pending[] = [];
  #added = 0;
  /** Of the pending ones, by session, stream and number. */
  #undone = new Map<string, Pending>();
  readonly #sessions = new Map<string, KnownSession>();
  readonly #touched: TouchedLists;
  #timer: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Immediate | undefined;
  /** The lots that are being written; one after the other. */
  #writing: Promise<void> = Promise.resolve();

  /** @param doesActs whether what is done on targets of a kind are acts, and no statements. */
  constructor(
    store: Store,
    clock: () => number,
    onFault: (error: unknown) => void,
    doesActs: (kind: string) => boolean,
  ) {
    this.#store = store;
    this.#touched = new TouchedLists(store);
    this.#clock = clock;
    this.#onFault = onFault;
    this.#doesActs = doesActs;
  }
  /** Decisions and results of statements; other events are not indexed. */
  event(session: string, event: RecordingEvent): void {
    if (event.type !== 'decision' && event.type !== 'result') {
      return;
    }
    this.#add(session, event);
    if (this.#pending.length >= FLUSH_AT_EVENTS) {
      this.#nextTurn ??= setImmediate(() => this.#flushGuarded());
    } else {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), FLUSH_AFTER_MS);
    }
  }

  /** Writes what is pending. @throws what the store says. */
  async flush(): Promise<void> {
    this.#stopTimers();
    const upTo = this.#added;
    const written = this.#writing.then(() => this.#writeUpTo(upTo));
    // Whoever comes later waits for it, and is not told of its fault.
    this.#writing = written.catch(() => undefined);
    await written;
  }

  #stopTimers(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    this.#timer = undefined;
    this.#nextTurn = undefined;
  }

  /** Others have their turn between two lots. @param upTo of all that were ever added */
  async #writeUpTo(upTo: number): Promise<void> {
    while (this.#added - this.#pending.length < upTo) {
      await this.#writeLot();
      if (this.#pending.length > 0) await nextTurn();
    }
  }

  /** As much as others can wait for: some statements, or a part of what a large one touches. */
  async #writeLot(): Promise<void> {
    const [first] = this.#pending;
    try {
      if (first?.decision !== undefined && !(await this.#touched.isReady(first.decision))) return;
    } catch (error) {
      this.#takeLot();
      throw error;
    }
    const lot = this.#takeLot();
    const { sessions, touched } = await this.#writeRows(lot);
    if (this.#sessions.size > MAX_KNOWN_SESSIONS) this.#sessions.clear();
    for (const [id, session] of sessions) this.#sessions.set(id, session);
    this.#touched.learn(touched);
  }

  /** To be told which rows are new costs a third more: mostly all are, and nobody needs their ids. */
  async #writeRows(lot: readonly Pending[]): Promise<Learnt> {
    if (!lot.some(({ result }) => hasClasses(result))) {
      try {
        return await this.#store.transaction(() => this.#write(lot, ADD_DECISIONS));
      } catch (error) {
        if (!(error instanceof SomeWereThere)) throw error;
      }
    }
    return this.#store.transaction(() => this.#write(lot, ADD_DECISIONS_WITH_IDS));
  }

  /** The first ones; one that is large by itself. */
  #takeLot(): readonly Pending[] {
    let facts = 0;
    let count = 0;
    for (const entry of this.#pending) {
      facts += factCount(entry);
      if (count > 0 && (facts > MAX_FACTS || count >= FLUSH_AT_EVENTS)) break;
      count += 1;
    }
    const lot = this.#pending.splice(0, count);
    for (const { session, decision } of lot) {
      if (decision !== undefined) this.#undone.delete(placeOf(session, decision));
    }
    return lot;
  }

  #add(session: string, event: Decision | Result): void {
    const key = placeOf(session, event);
    if (event.type === 'result') {
      const before = this.#undone.get(key);
      if (before !== undefined) {
        // Mostly both come in one batch, and are one row then.
        before.result = event;
        this.#undone.delete(key);
        return;
      }
    }
    const isDecision = event.type === 'decision';
    const decision = isDecision ? event : undefined;
    const result = isDecision ? undefined : event;
    // Now: by the time of the flush a result that came behind it is in the same entry.
    const before = { stream: event.stream, statement: event.statement - 1 };
    const last = this.#undone.get(placeOf(session, before))?.decision;
    const entry: Pending = { session, timeMs: this.#clock(), decision, last, result };
    this.#pending.push(entry);
    this.#added += 1;
    if (isDecision) {
      this.#undone.set(key, entry);
    }
  }

  /** @throws SomeWereThere, where that matters and `add` does not say which */
  *#write(lot: readonly Pending[], add: BulkSql): Work<Learnt> {
    const sessions = new Map<string, KnownSession>();
    const batches = new Map<string, SessionBatch>();
    const known: Known[] = [];
    for (const entry of lot) {
      const session = yield* this.#sessionOf(entry.session, sessions);
      if (session === undefined) continue;
      known.push({ entry, session });
      if (!batches.has(entry.session)) {
        const { number } = session;
        batches.set(entry.session, { number, statements: 0, denied: 0, maskedValues: 0 });
      }
    }
    const touched = yield* this.#touched.find(known);
    const seconds = yield* secondDecisions(known);
    const ids = yield* this.#insertDecisions(known, seconds, touched, add);
    const classes = new Map<string, readonly [string, number, number]>();
    for (const { entry, session } of known) {
      const { decision, result } = entry;
      const batch = batches.get(entry.session);
      if (batch === undefined) continue;
      let id: number | 'new' | undefined;
      if (decision === undefined) {
        id = result && (yield* addResult(session.number, result));
      } else {
        id = ids === 'all new' ? 'new' : ids.get(placeOf(session.number, decision));
        if (id !== undefined) {
          batch.statements += seconds.has(decision) ? 0 : 1;
          batch.denied += decision.effect === 'refuse' ? 1 : 0;
        }
      }
      if (id === undefined || result === undefined) continue;
      batch.maskedValues += result.maskedValues;
      if (id === 'new') continue;
      for (const [name, count] of Object.entries(result.detected)) {
        const key = `${id} ${name}`;
        classes.set(key, [name, id, count + (classes.get(key)?.[2] ?? 0)]);
      }
    }
    yield* addAll(ADD_CLASSES, [...classes.values()]);
    for (const batch of batches.values()) yield* change(COUNT, { ...batch });
    return { sessions, touched };
  }

  *#sessionOf(id: string, found: Map<string, KnownSession>): Work<KnownSession | undefined> {
    const known = this.#sessions.get(id) ?? found.get(id);
    if (known !== undefined) return known;
    const row = yield* get(SESSION, { id });
    if (row === undefined) return undefined;
    const session = {
      number: integer(row['number']),
      hasStatements: !this.#doesActs(text(row['kind'])),
    };
    found.set(id, session);
    return session;
  }

  /** @returns the ids of those that were not there, by their place */
  *#insertDecisions(
    lot: readonly Known[],
    seconds: ReadonlySet<Decision>,
    touched: ReadonlyMap<string, number>,
    add: BulkSql,
  ): Work<ReadonlyMap<string, number> | 'all new'> {
    const rows: SqlValue[][] = [];
    for (const { entry, session } of lot) {
      const { decision, result, timeMs } = entry;
      if (decision === undefined) continue;
      rows.push([
        session.number,
        decision.stream,
        decision.statement,
        decision.at,
        timeMs,
        decision.effect,
        nullable(storable(decision.verbs[0])),
        nullable(decision.code),
        decision.policyCommit,
        nullable(decision.prompt),
        this.#touched.idOf(decision, touched),
        nullable(result?.rows),
        nullable(result?.maskedValues),
        nullable(storable(result?.tag)),
        nullable(result?.sqlState),
        seconds.has(decision) ? 1 : 0,
      ]);
    }
    if (!add.hasRows) {
      if ((yield* countAdded(add, rows)) < rows.length) throw new SomeWereThere();
      return 'all new';
    }
    const added = yield* addAll(add, rows);
    return new Map(
      added.map((row) => [
        placeOf(integer(row['session']), {
          stream: integer(row['stream']),
          statement: integer(row['statement']),
        }),
        integer(row['id']),
      ]),
    );
  }

  #flushGuarded(): void {
    // The recordings hold the same; readiness tells the operator that the index cannot write.
    this.flush().catch((error: unknown) => this.#onFault(error));
  }
}

/** Some of the decisions were written before. */
class SomeWereThere extends Error {}

function hasClasses(result: Result | undefined): boolean {
  if (result === undefined) return false;
  for (const _ in result.detected) return true;
  return false;
}

/** Of a statement that was decided in an earlier lot. @returns its id */
function* addResult(session: number, result: Result): Work<number | undefined> {
  const { stream, statement, rows, maskedValues, tag, sqlState } = result;
  const [row] = yield* all(RESULT, {
    ...{ session, stream, statement, rows, maskedValues },
    tag: nullable(storable(tag)),
    sqlState: nullable(sqlState),
  });
  return row && integer(row['id']);
}

const SESSION = sql('SELECT number, kind FROM sessions WHERE id = $id');
const DECISION_COLUMNS: Parameters<typeof bulk>[1] = {
  ...{ session: 'bigint', stream: 'bigint', statement: 'bigint', at: 'bigint', time_ms: 'bigint' },
  ...{ effect: 'text', verb: 'text', code: 'text', policy_commit: 'text', prompt: 'text' },
  ...{ touched: 'bigint', rows: 'bigint', masked_values: 'bigint', tag: 'text' },
  ...{ sql_state: 'text', of_the_last: 'bigint' },
};
const ADD_DECISIONS = bulk('statements', DECISION_COLUMNS, 'ON CONFLICT DO NOTHING');
const ADD_DECISIONS_WITH_IDS = bulk(
  'statements',
  DECISION_COLUMNS,
  'ON CONFLICT DO NOTHING RETURNING id, session, stream, statement',
);
const ADD_CLASSES = bulk(
  'statement_classes',
  { class: 'text', statement: 'bigint', count: 'bigint' },
  `ON CONFLICT (class, statement)
   DO UPDATE SET count = statement_classes.count + excluded.count`,
);
// A portal that is executed in parts reports each part.
const RESULT = sql(
  `UPDATE statements SET rows = coalesce(rows, 0) + $rows,
     masked_values = coalesce(masked_values, 0) + $maskedValues, tag = $tag, sql_state = $sqlState
   WHERE session = $session AND stream = $stream AND statement = $statement RETURNING id`,
);
const COUNT = sql(
  `UPDATE sessions SET statements = statements + $statements, denied = denied + $denied,
     masked_values = masked_values + $maskedValues WHERE number = $number`,
);
