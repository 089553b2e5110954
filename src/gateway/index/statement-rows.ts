/** A lot of decisions and results as rows of the index: one transaction. */
import type { EventSteps, NewEvent } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
import {
  addAll,
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
import { countedRefusals, refusalEvent, SESSION_FACTS, sessionFacts } from './refusal-events.ts';
import { ADD_CLASSES, addResult, type ClassRow, countClass, timesOf } from './result-rows.ts';
import { secondDecisions } from './second-decisions.ts';
import { TouchedLists } from './touched-lists.ts';

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

export interface StatementRowsOptions {
  readonly store: Store;
  readonly events: EventSteps;
  /** Whether what is done on targets of a kind are acts, and no statements. */
  readonly doesActs: (kind: string) => boolean;
}

export class StatementRows {
  readonly #store: Store;
  readonly #doesActs: (kind: string) => boolean;
  readonly #sessions = new Map<string, KnownSession>();
  readonly #touched: TouchedLists;
  readonly #events: EventSteps;

  constructor({ store, events, doesActs }: StatementRowsOptions) {
    this.#store = store;
    this.#events = events;
    this.#doesActs = doesActs;
    this.#touched = new TouchedLists(store);
  }

  /** What is large is written in parts. @returns whether a lot can be written that begins with it */
  isReady(first: Pending): Promise<boolean> {
    return this.#touched.isReady(first);
  }

  /** @throws what the store says: then nothing of it is there */
  async write(lot: readonly Pending[]): Promise<void> {
    const { sessions, touched } = await this.#writeRows(lot);
    if (this.#sessions.size > MAX_KNOWN_SESSIONS) this.#sessions.clear();
    for (const [id, session] of sessions) this.#sessions.set(id, session);
    this.#touched.learn(touched);
  }

  /** Refusals that came too often to tell each. */
  *tellCounted(due: readonly Counted<Decision>[]): Work<void> {
    const found = new Map<string, KnownSession>();
    const events: NewEvent[] = [];
    for (const counted of due) {
      const known = yield* this.#sessionOf(counted.scope, found);
      if (known !== undefined) {
        events.push(countedRefusals(known.facts, known.hasStatements, counted));
      }
    }
    yield* this.#events.add(...events);
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
    const refusals = known.flatMap(({ entry: { isTold, decision }, session }) =>
      isTold && decision ? [refusalEvent(session.facts, session.hasStatements, decision)] : [],
    );
    yield* this.#events.add(...refusals);
    const classes = new Map<string, ClassRow>();
    for (const { entry, session } of known) {
      const { decision, result, held } = entry;
      if (held !== undefined) yield* change(HELD, { session: session.number, ...held });
      const batch = batches.get(entry.session);
      if (batch === undefined) continue;
      let id: number | 'new' | undefined;
      let times = timesOf(entry);
      if (decision === undefined) {
        const row = result && (yield* addResult(session.number, result, entry));
        if (row !== undefined) ({ id, ...times } = row);
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
      const hit = { id, session: session.number, ...times };
      for (const [name, count] of Object.entries(result.detected)) {
        countClass(classes, { ...hit, name, count, clear: 0 });
      }
      for (const [name, clear] of Object.entries(result.seen ?? {})) {
        countClass(classes, { ...hit, name, count: 0, clear });
      }
    }
    yield* addAll(ADD_FILES, known.flatMap(fileRow));
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
      facts: sessionFacts(row),
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
      const { decision, facts, result, approval } = entry;
      if (decision === undefined) continue;
      const { timeMs, lastMs } = timesOf(entry);
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
        this.#touched.idOf(entry, touched),
        nullable(result?.rows),
        nullable(result?.maskedValues),
        nullable(storable(result?.tag)),
        nullable(result?.sqlState),
        seconds.has(decision) ? 1 : 0,
        nullable(facts?.fingerprint),
        nullable(result?.bytes),
        nullable(result?.upBytes),
        nullable(result?.us),
        result === undefined ? 0 : 1,
        lastMs,
        nullable(approval),
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
}

/** Some of the decisions were written before. */
class SomeWereThere extends Error {}

function hasClasses(result: Result | undefined): boolean {
  if (result === undefined) return false;
  for (const _ in result.detected) return true;
  for (const _ in result.seen) return true;
  return false;
}

function fileRow({ entry: { file, timeMs }, session }: Known): SqlValue[][] {
  if (file === undefined) return [];
  const { stream, channel, at, operation, path, to, status, read, written } = file;
  return [
    [
      ...[session.number, stream, channel, at, timeMs, operation, storable(path)],
      ...[nullable(storable(to)), nullable(status)],
      ...[nullable(read?.bytes), nullable(read?.sha256)],
      ...[nullable(written?.bytes), nullable(written?.sha256)],
    ],
  ];
}

const SESSION = sql(`SELECT number, ${SESSION_FACTS} FROM sessions WHERE id = $id`);
const DECISION_COLUMNS: Parameters<typeof bulk>[1] = {
  ...{ session: 'bigint', stream: 'bigint', statement: 'bigint', at: 'bigint', time_ms: 'bigint' },
  ...{ effect: 'text', verb: 'text', code: 'text', policy_commit: 'text', prompt: 'text' },
  ...{ touched: 'bigint', rows: 'bigint', masked_values: 'bigint', tag: 'text' },
  ...{ sql_state: 'text', of_the_last: 'bigint', fingerprint: 'text', bytes: 'bigint' },
  ...{ up_bytes: 'bigint' },
  ...{ us: 'bigint', results: 'bigint', last_ms: 'bigint', approval: 'text' },
};
const ADD_DECISIONS = bulk('statements', DECISION_COLUMNS, 'ON CONFLICT DO NOTHING');
const ADD_DECISIONS_WITH_IDS = bulk(
  'statements',
  DECISION_COLUMNS,
  'ON CONFLICT DO NOTHING RETURNING id, session, stream, statement',
);
const ADD_FILES = bulk('files', {
  ...{ session: 'bigint', stream: 'bigint', channel: 'bigint', at: 'bigint', time_ms: 'bigint' },
  ...{ operation: 'text', path: 'text', to_path: 'text', status: 'bigint', read_bytes: 'bigint' },
  ...{ read_sha256: 'text', written_bytes: 'bigint', written_sha256: 'text' },
});
const HELD = sql(
  `UPDATE statements SET approval = $request
   WHERE session = $session AND stream = $stream AND at = $at AND approval IS NULL`,
);
const COUNT = sql(
  `UPDATE sessions SET statements = statements + $statements, denied = denied + $denied,
     masked_values = masked_values + $maskedValues WHERE number = $number`,
);
