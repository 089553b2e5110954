/** Statements in the index: decisions and results, written in batches. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import type { RecordingEvent } from '../../recording/types.ts';
import type { EventSteps, NewEvent } from '../events/audit-events.ts';
import type { Counted } from '../events/event-limit.ts';
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
import { isStoreFault } from '../store/store-watch.ts';
import {
  type Decision,
  type Known,
  type KnownSession,
  type Pending,
  placeOf,
  type Result,
} from './pending-statement.ts';
import {
  countedRefusals,
  RefusalLimit,
  refusalEvent,
  SESSION_FACTS,
  sessionFacts,
} from './refusal-events.ts';
import { secondDecisions } from './second-decisions.ts';
import { StreamFacts } from './stream-facts.ts';
import { factCount, MAX_FACTS, TouchedLists } from './touched-lists.ts';

/** Rows wait at most this long, or until there are this many. */
const FLUSH_AFTER_MS = 100;
const FLUSH_AT_EVENTS = 500;
/** While the store is away. */
const RETRY_AFTER_MS = 1000;
/** So many wait for it, some 1 KiB each. */
const MAX_WAITING = 20_000;

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
  readonly #streams = new StreamFacts();
  readonly #events: EventSteps;
  readonly #refusals: RefusalLimit;
  #isFailing = false;
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
    events: EventSteps,
  ) {
    this.#store = store;
    this.#events = events;
    this.#refusals = new RefusalLimit(clock);
    this.#touched = new TouchedLists(store);
    this.#clock = clock;
    this.#onFault = onFault;
    this.#doesActs = doesActs;
  }

  /** Decisions and results of statements, with what they name; other events are not indexed. */
  event(session: string, event: RecordingEvent): void {
    switch (event.type) {
      case 'decision':
        this.#addDecision(session, event);
        break;
      case 'result':
        this.#addResult(session, event);
        break;
      case 'approval.held': {
        const { stream, at, request } = event;
        this.#streams.hold(session, { stream, at, request });
        this.#push(session, { held: { stream, at, request } });
        break;
      }
      case 'ssh.file':
        this.#push(session, { file: event });
        break;
      case 'facts':
        this.#streams.learn(session, event);
        return;
      default:
        return;
    }
    if (this.#isFailing) {
      // It is tried again each second, and not with each statement.
      this.#dropOldest();
      this.#timer ??= setTimeout(() => this.#flushGuarded(), RETRY_AFTER_MS).unref();
    } else if (this.#pending.length >= FLUSH_AT_EVENTS) {
      this.#nextTurn ??= setImmediate(() => this.#flushGuarded());
    } else {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), FLUSH_AFTER_MS);
    }
  }

  /** A session is over. @returns what of its refusals was counted and not told yet */
  countedOf(session: string): readonly Counted<Decision>[] {
    return this.#refusals.rest(session);
  }

  /** What `countedOf` gave and could not be told. */
  putBackCounted(counted: readonly Counted<Decision>[]): void {
    this.#refusals.putBack(counted);
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

  /** Nothing more comes of it. */
  streamEnded(session: string, stream: number): void {
    this.#streams.streamEnded(session, stream);
  }

  sessionEnded(session: string): void {
    this.#streams.sessionEnded(session);
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
    await this.#writeCounted();
  }

  /** Refusals that came too often to tell each. */
  async #writeCounted(): Promise<void> {
    const due = this.#refusals.due();
    if (due.length > 0) {
      await this.#store
        .transaction(() => this.#tellCounted(due))
        .catch((error: unknown) => {
          if (isStoreFault(error)) this.#refusals.putBack(due);
          throw error;
        });
    } else if (this.#refusals.isCounting) {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), this.#refusals.everyMs);
    }
  }

  *#tellCounted(due: readonly Counted<Decision>[]): Work<void> {
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

  /** As much as others can wait for: some statements, or a part of what a large one touches. */
  async #writeLot(): Promise<void> {
    const [first] = this.#pending;
    try {
      if (first?.decision !== undefined && !(await this.#touched.isReady(first))) return;
    } catch (error) {
      // What fails each time would hold up all behind it.
      if (!isStoreFault(error)) this.#takeLot();
      throw error;
    }
    const lot = this.#takeLot();
    const { sessions, touched } = await this.#writeRows(lot).catch((error: unknown) => {
      if (isStoreFault(error)) this.#putBack(lot);
      throw error;
    });
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

  /** The store is away. A result that comes behind one of them is in the same entry, or follows it. */
  #putBack(lot: readonly Pending[]): void {
    this.#pending = [...lot, ...this.#pending];
    for (const entry of lot) {
      const { session, decision, result } = entry;
      if (decision !== undefined && result === undefined) {
        this.#undone.set(placeOf(session, decision), entry);
      }
    }
    this.#dropOldest();
  }

  /** Rather some rows, of which the recordings have all, than the memory of the gateway. */
  #dropOldest(): void {
    let lost = 0;
    while (this.#pending.length > MAX_WAITING) lost += this.#takeLot().length;
    if (lost === 0) return;
    this.#onFault(
      new HoopError('HOOP_STORE_UNAVAILABLE', `the index has lost ${lost} rows of statements`, {
        detail: `The store did not take them, and ${MAX_WAITING} others wait for it. The recordings have them.`,
      }),
    );
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

  #addDecision(session: string, decision: Decision): void {
    // Now: by the time of the flush a result that came behind it is in the same entry.
    const before = { stream: decision.stream, statement: decision.statement - 1 };
    const last = this.#undone.get(placeOf(session, before))?.decision;
    const facts = this.#streams.of(session, decision);
    const isTold = decision.effect === 'refuse' && this.#refusals.take(session, decision);
    const entry = this.#push(session, { decision, facts, last, isTold });
    this.#undone.set(placeOf(session, decision), entry);
  }

  #addResult(session: string, result: Result): void {
    const key = placeOf(session, result);
    const before = this.#undone.get(key);
    if (before === undefined) {
      this.#push(session, { result });
      return;
    }
    // Mostly both come in one batch, and are one row then.
    before.result = result;
    before.resultMs = this.#clock();
    before.approval ??= this.#streams.requestAt(session, result);
    this.#undone.delete(key);
  }

  #push(
    session: string,
    {
      decision,
      facts,
      last,
      isTold = false,
      result,
      held,
      file,
    }: Partial<Omit<Pending, 'session' | 'timeMs'>>,
  ): Pending {
    const timeMs = this.#clock();
    const event = decision ?? result ?? held;
    const approval = event && this.#streams.requestAt(session, event);
    const entry = { session, timeMs, decision, facts, last, isTold, result, held, file, approval };
    const pending: Pending = { ...entry, resultMs: timeMs };
    this.#pending.push(pending);
    this.#added += 1;
    return pending;
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

  #flushGuarded(): void {
    this.flush().then(
      () => {
        this.#isFailing = false;
      },
      (error: unknown) => {
        // The recordings hold the same; readiness tells the operator that the index cannot write.
        if (!this.#isFailing) this.#onFault(error);
        this.#isFailing = isStoreFault(error);
        if (this.#pending.length === 0 && !this.#refusals.isCounting) return;
        this.#timer ??= setTimeout(() => this.#flushGuarded(), RETRY_AFTER_MS).unref();
      },
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

/** Of a statement: when it was decided; when its last result ended that was of another message. */
interface Times {
  readonly timeMs: number;
  readonly lastMs: number | null;
}

function timesOf({ decision, result, timeMs, resultMs }: Pending): Times {
  const isLater = decision !== undefined && result !== undefined && result.at !== decision.at;
  return { timeMs, lastMs: isLater ? resultMs : null };
}

interface ClassHits extends Times {
  /** Of the statement. */
  readonly id: number;
  readonly session: number;
  readonly name: string;
  readonly count: number;
  readonly clear: number;
}

/** As the columns of ADD_CLASSES. */
type ClassRow = readonly [
  ...[name: string, statement: number, session: number],
  ...[timeMs: number, lastMs: number | null, count: number, clear: number],
];

function countClass(classes: Map<string, ClassRow>, add: ClassHits): void {
  const { id, session, name, timeMs, lastMs } = add;
  const key = `${id} ${name}`;
  const before = classes.get(key);
  const [count, clear] = before === undefined ? [0, 0] : [before[5], before[6]];
  // What comes later in a lot is later.
  const last = lastMs ?? before?.[4] ?? null;
  classes.set(key, [name, id, session, timeMs, last, count + add.count, clear + add.clear]);
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

/** Of a statement that was decided in an earlier lot. @returns its id and its times */
function* addResult(
  session: number,
  result: Result,
  { timeMs, approval }: Pending,
): Work<({ readonly id: number } & Times) | undefined> {
  const { at, stream, statement, rows, maskedValues, bytes, upBytes, us, tag, sqlState } = result;
  const [row] = yield* all(RESULT, {
    ...{ session, stream, statement, rows, maskedValues, at, timeMs },
    bytes: nullable(bytes),
    upBytes: nullable(upBytes),
    us: nullable(us),
    approval: nullable(approval),
    tag: nullable(storable(tag)),
    sqlState: nullable(sqlState),
  });
  if (row === undefined) return undefined;
  const last = row['last_ms'];
  return {
    id: integer(row['id']),
    timeMs: integer(row['time_ms']),
    lastMs: last === null ? null : integer(last),
  };
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
const ADD_CLASSES = bulk(
  'statement_classes',
  {
    ...{ class: 'text', statement: 'bigint', session: 'bigint' },
    ...{ time_ms: 'bigint', last_ms: 'bigint', count: 'bigint', clear: 'bigint' },
  },
  `ON CONFLICT (class, statement)
   DO UPDATE SET count = statement_classes.count + excluded.count,
     clear = statement_classes.clear + excluded.clear,
     last_ms = coalesce(excluded.last_ms, statement_classes.last_ms)`,
);
// A portal that is executed in parts reports each part.
const RESULT = sql(
  `UPDATE statements SET rows = coalesce(rows, 0) + $rows,
     masked_values = coalesce(masked_values, 0) + $maskedValues, tag = $tag, sql_state = $sqlState,
     bytes = coalesce(bytes + CAST($bytes AS BIGINT), $bytes, bytes),
     up_bytes = coalesce(up_bytes + CAST($upBytes AS BIGINT), $upBytes, up_bytes),
     us = coalesce(us + CAST($us AS BIGINT), $us, us), results = results + 1,
     last_ms = CASE WHEN at = $at THEN last_ms ELSE $timeMs END,
     approval = coalesce($approval, approval)
   WHERE session = $session AND stream = $stream AND statement = $statement
   RETURNING id, time_ms, last_ms`,
);
const HELD = sql(
  `UPDATE statements SET approval = $request
   WHERE session = $session AND stream = $stream AND at = $at AND approval IS NULL`,
);
const COUNT = sql(
  `UPDATE sessions SET statements = statements + $statements, denied = denied + $denied,
     masked_values = masked_values + $maskedValues WHERE number = $number`,
);
