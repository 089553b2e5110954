/** Statements in the index: decisions and results, written in batches. */
import { hash } from 'node:crypto';
import type { StatementSync } from 'node:sqlite';
import type { RecordingEvent } from '../../recording/types.ts';
import { type IndexStore, integer, nullable, text } from './index-store.ts';

/** Rows wait at most this long, or until there are this many. */
const FLUSH_AFTER_MS = 100;
const FLUSH_AT_EVENTS = 500;
/** Of what statements touch, in one turn: some ten milliseconds. A DROP may name 50,000 tables. */
const MAX_FACTS = 2000;
/** In the place of a digest, as long as not all that it stands for is written. */
const UNFINISHED = '~unfinished';

type Decision = Extract<RecordingEvent, { type: 'decision' }>;
type Result = Extract<RecordingEvent, { type: 'result' }>;
type Fact = readonly [kind: string, name: string, extra: string | null];
/** A large list of what is touched, of which a part is written. */
interface Staged {
  readonly all: string;
  readonly id: number;
  readonly facts: readonly Fact[];
  at: number;
}

interface Pending {
  readonly session: string;
  readonly timeMs: number;
  readonly decision: Decision | undefined;
  /** The decision before it on its connection, where that was pending and had no result. */
  readonly last: Decision | undefined;
  /** A portal that is executed in parts reports each part. */
  result: Result | undefined;
}

/** What one flush adds to a session. */
interface SessionBatch {
  /** undefined: the session is not in the index. */
  readonly number: number | undefined;
  /** A refusal may speak of the statement before it: of its result, or once it was held. */
  readonly hasStatements: boolean;
  statements: number;
  denied: number;
  maskedValues: number;
}

/** Combinations of what statements touch whose row is known. */
const MAX_KNOWN_TOUCHED = 10_000;

/** What only a statement that was held before is refused with. */
const AFTER_HOLD: ReadonlySet<string> = new Set([
  'HOOP_APPROVAL_PENDING',
  'HOOP_APPROVAL_DENIED',
  'HOOP_APPROVAL_EXPIRED',
  'HOOP_APPROVAL_VOID',
]);

export class StatementIndex {
  readonly #store: IndexStore;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #doesActs: (kind: string) => boolean;
  readonly #statements: ReturnType<typeof prepareAll>;
  #pending: Pending[] = [];
  /** Of the pending ones, by session, stream and number. */
  #undone = new Map<string, Pending>();
  #touched = new Map<string, number>();
  /** The same by identity: decisions of one verdict share their lists. */
  #touchedBy = new WeakMap<
    Decision['rules'],
    { readonly decision: Decision; readonly id: number }
  >();
  /** What the first of the pending ones touches, while it is written. */
  #staged: Staged | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextTurn: NodeJS.Immediate | undefined;

  constructor(
    store: IndexStore,
    clock: () => number,
    onFault: (error: unknown) => void,
    doesActs: (kind: string) => boolean,
  ) {
    this.#doesActs = doesActs;
    this.#store = store;
    this.#clock = clock;
    this.#onFault = onFault;
    this.#statements = prepareAll(store);
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

  /** Writes what is pending. @throws what SQLite says. */
  flush(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    this.#timer = undefined;
    this.#nextTurn = undefined;
    while (this.#pending.length > 0) this.#writeLot();
  }

  /** As much as others can wait for: some statements, or a part of what a large one touches. */
  #writeLot(): void {
    const [first] = this.#pending;
    try {
      const isLarge = first?.decision !== undefined && factCount(first) > MAX_FACTS;
      if (isLarge && !this.#isStored(first.decision)) return;
    } catch (error) {
      this.#takeLot();
      this.#forget();
      throw error;
    }
    const lot = this.#takeLot();
    try {
      this.#store.transaction(() => this.#write(lot));
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  /** Rows that were made in a transaction that failed are gone with it. */
  #forget(): void {
    this.#touched = new Map();
    this.#touchedBy = new WeakMap();
    this.#staged = undefined;
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
      if (decision !== undefined) this.#undone.delete(keyOf(session, decision));
    }
    return lot;
  }

  /** Writes the next part of what it touches. @returns whether all of it is there. */
  #isStored(decision: Decision): boolean {
    const all = listsOf(decision);
    if (this.#touched.has(all)) return true;
    const digest = hash('sha256', all, 'base64url');
    if (this.#staged?.all !== all && this.#statements.touched.get(digest) !== undefined)
      return true;
    this.#store.transaction(() => {
      const staged = this.#staged?.all === all ? this.#staged : this.#stage(all, decision);
      const to = Math.min(staged.at + MAX_FACTS, staged.facts.length);
      for (const [kind, name, extra] of staged.facts.slice(staged.at, to)) {
        this.#statements.fact.run(kind, name, staged.id, extra);
      }
      staged.at = to;
      if (to === staged.facts.length) this.#statements.finish.run(digest, staged.id);
    });
    if (this.#staged?.at === this.#staged?.facts.length) this.#staged = undefined;
    return this.#staged === undefined;
  }

  #stage(all: string, decision: Decision): Staged {
    // Of a gateway that was killed meanwhile.
    this.#statements.unfinished.run(UNFINISHED);
    const id = Number(this.#statements.addTouched.run(UNFINISHED).lastInsertRowid);
    this.#staged = { all, id, facts: factsOf(decision), at: 0 };
    return this.#staged;
  }

  #add(session: string, event: Decision | Result): void {
    const key = keyOf(session, event);
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
    const last = this.#undone.get(keyOf(session, before))?.decision;
    const entry: Pending = { session, timeMs: this.#clock(), decision, last, result };
    this.#pending.push(entry);
    if (isDecision) {
      this.#undone.set(key, entry);
    }
  }

  #write(pending: readonly Pending[]): void {
    const batches = new Map<string, SessionBatch>();
    for (const entry of pending) {
      let batch = batches.get(entry.session);
      if (batch === undefined) {
        const row = this.#statements.session.get(entry.session);
        batch = {
          number: row && integer(row['number']),
          hasStatements: row !== undefined && !this.#doesActs(text(row['kind'])),
          statements: 0,
          denied: 0,
          maskedValues: 0,
        };
        batches.set(entry.session, batch);
      }
      if (batch.number !== undefined) {
        this.#writeEntry(entry, batch, batch.number);
      }
    }
    for (const { number, statements, denied, maskedValues } of batches.values()) {
      this.#statements.count.run(statements, denied, maskedValues, nullable(number));
    }
  }

  #writeEntry(entry: Pending, batch: SessionBatch, session: number): void {
    const { decision, result } = entry;
    let id: number | bigint | undefined;
    if (decision === undefined) {
      id = result && this.#idOf(session, result);
      if (id !== undefined && result !== undefined) {
        this.#statements.result.run(
          result.rows,
          result.maskedValues,
          nullable(result.tag),
          nullable(result.sqlState),
          id,
        );
      }
    } else {
      const isOfTheLast = batch.hasStatements && this.#isOfTheLast(session, decision, entry.last);
      id = this.#insert(session, { ...entry, decision, isOfTheLast });
      if (id !== undefined) {
        batch.statements += isOfTheLast ? 0 : 1;
        batch.denied += decision.effect === 'refuse' ? 1 : 0;
      }
    }
    if (id === undefined || result === undefined) {
      return;
    }
    batch.maskedValues += result.maskedValues;
    for (const [name, count] of Object.entries(result.detected)) {
      this.#statements.detected.run(name, id, count);
    }
  }

  #flushGuarded(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#nextTurn);
    this.#timer = undefined;
    this.#nextTurn = undefined;
    if (this.#pending.length === 0) return;
    try {
      this.#writeLot();
    } catch (error) {
      // The recordings hold the same; readiness tells the operator that the index cannot write.
      this.#onFault(error);
    }
    if (this.#pending.length > 0) this.#nextTurn = setImmediate(() => this.#flushGuarded());
  }

  /** @returns the row's id; undefined when it was there. */
  #insert(
    session: number,
    {
      timeMs,
      decision,
      result,
      isOfTheLast,
    }: Pick<Pending, 'timeMs' | 'result'> & {
      readonly decision: Decision;
      readonly isOfTheLast: boolean;
    },
  ): number | bigint | undefined {
    const inserted = this.#statements.decision.run(
      session,
      decision.stream,
      decision.statement,
      decision.at,
      timeMs,
      decision.effect,
      nullable(decision.verbs[0]),
      nullable(decision.code),
      decision.policyCommit,
      nullable(decision.prompt),
      this.#touchedId(decision),
      nullable(result?.rows),
      nullable(result?.maskedValues),
      nullable(result?.tag),
      nullable(result?.sqlState),
      isOfTheLast ? 1 : 0,
    );
    return inserted.changes === 0 ? undefined : inserted.lastInsertRowid;
  }

  #touchedId(decision: Decision): number {
    const { rules } = decision;
    const same = this.#touchedBy.get(rules);
    if (same !== undefined && hasSameLists(same.decision, decision)) {
      return same.id;
    }
    const all = listsOf(decision);
    let id = this.#touched.get(all);
    if (id === undefined) {
      id = this.#findOrAddTouched(hash('sha256', all, 'base64url'), decision);
      if (this.#touched.size >= MAX_KNOWN_TOUCHED) {
        this.#touched.clear();
      }
      this.#touched.set(all, id);
    }
    this.#touchedBy.set(rules, { decision, id });
    return id;
  }

  #findOrAddTouched(digest: string, decision: Decision): number {
    const found = this.#statements.touched.get(digest);
    if (found !== undefined) {
      return integer(found['id']);
    }
    const id = Number(this.#statements.addTouched.run(digest).lastInsertRowid);
    for (const [kind, name, extra] of factsOf(decision)) {
      this.#statements.fact.run(kind, name, id, extra);
    }
    return id;
  }

  /**
   * A statement that needed approval and did not get it, or whose result was withheld, is decided
   * twice, under two numbers: it is one statement, denied. An Execute is held, and refused, behind
   * the Parse that was decided. (An act on a server that is held is decided once, when it is over.)
   * @param pending the one before, when it is not written yet
   */
  #isOfTheLast(session: number, decision: Decision, pending: Decision | undefined): boolean {
    const { stream, statement, at, effect, code } = decision;
    if (effect !== 'refuse') {
      return false;
    }
    const last = pending ?? this.#statements.undone.get(session, stream, statement - 1);
    switch (last?.['effect']) {
      case 'approve':
        return last['at'] === at || AFTER_HOLD.has(code ?? '');
      case 'allow':
        return last['at'] === at;
      default:
        return false;
    }
  }

  /** Of a statement that was decided in an earlier batch. */
  #idOf(session: number, event: Result): number | undefined {
    const row = this.#statements.statementId.get(session, event.stream, event.statement);
    return row === undefined ? undefined : integer(row['id']);
  }
}

function keyOf(
  session: string,
  { stream, statement }: { stream: number; statement: number },
): string {
  return `${session} ${stream} ${statement}`;
}

function listsOf({ verbs, relations, columnsMasked, rules }: Decision): string {
  return JSON.stringify([verbs, relations, columnsMasked, rules]);
}

/** As they are written. */
function factsOf({ verbs, relations, columnsMasked, rules }: Decision): readonly Fact[] {
  const named = Object.entries({ verb: verbs, relation: relations, masked: columnsMasked });
  return [
    ...named.flatMap(([kind, names]) => names.map((name): Fact => [kind, name, null])),
    ...rules.map(({ id, file, line }): Fact => ['rule', id, `${file}:${line}`]),
  ];
}

function factCount({ decision }: Pending): number {
  if (decision === undefined) return 0;
  const { verbs, relations, columnsMasked, rules } = decision;
  return verbs.length + relations.length + columnsMasked.length + rules.length;
}

function hasSameLists(one: Decision, other: Decision): boolean {
  return (
    one.verbs === other.verbs &&
    one.relations === other.relations &&
    one.columnsMasked === other.columnsMasked
  );
}

function prepareAll({ database }: IndexStore) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    session: prepare('SELECT number, kind FROM sessions WHERE id = ?'),
    decision: prepare(
      `INSERT INTO statements (session, stream, statement, at, time_ms, effect, verb, code,
         policy_commit, prompt, touched, rows, masked_values, tag, sql_state, of_the_last)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    touched: prepare('SELECT id FROM touched WHERE digest = ?'),
    addTouched: prepare('INSERT INTO touched (digest) VALUES (?)'),
    finish: prepare('UPDATE touched SET digest = ? WHERE id = ?'),
    unfinished: prepare('DELETE FROM touched WHERE digest = ?'),
    fact: prepare('INSERT INTO touched_facts VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING'),
    detected: prepare(
      `INSERT INTO statement_classes VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    ),
    statementId: prepare(
      'SELECT id FROM statements WHERE session = ? AND stream = ? AND statement = ?',
    ),
    undone: prepare(
      `SELECT at, effect FROM statements
       WHERE session = ? AND stream = ? AND statement = ? AND tag IS NULL AND sql_state IS NULL`,
    ),
    // A portal that is executed in parts reports each part.
    result: prepare(
      `UPDATE statements SET rows = coalesce(rows, 0) + ?,
         masked_values = coalesce(masked_values, 0) + ?, tag = ?, sql_state = ? WHERE id = ?`,
    ),
    count: prepare(
      `UPDATE sessions SET statements = statements + ?, denied = denied + ?,
         masked_values = masked_values + ? WHERE number = ?`,
    ),
  };
}
