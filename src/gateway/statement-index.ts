/** Statements in the index: decisions and results, written in batches. */
import type { StatementSync } from 'node:sqlite';
import type { RecordingEvent } from '../recording/types.ts';
import { type IndexStore, integer, nullable } from './index-store.ts';

/** Rows wait at most this long, or until there are this many. */
const FLUSH_AFTER_MS = 100;
const FLUSH_AT_EVENTS = 500;

type Decision = Extract<RecordingEvent, { type: 'decision' }>;
type Result = Extract<RecordingEvent, { type: 'result' }>;
interface Pending {
  readonly session: string;
  readonly timeMs: number;
  readonly event: Decision | Result;
}

interface Counts {
  statements: number;
  denied: number;
  maskedValues: number;
}

export class StatementIndex {
  readonly #store: IndexStore;
  readonly #clock: () => number;
  readonly #onFault: (error: unknown) => void;
  readonly #statements: ReturnType<typeof prepareAll>;
  #pending: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(store: IndexStore, clock: () => number, onFault: (error: unknown) => void) {
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
    this.#pending.push({ session, timeMs: this.#clock(), event });
    if (this.#pending.length >= FLUSH_AT_EVENTS) {
      this.#flushGuarded();
    } else {
      this.#timer ??= setTimeout(() => this.#flushGuarded(), FLUSH_AFTER_MS);
    }
  }

  /** Writes what is pending. @throws what SQLite says. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0) {
      return;
    }
    const pending = this.#pending;
    this.#pending = [];
    this.#store.transaction(() => this.#write(pending));
  }

  #write(pending: readonly Pending[]): void {
    const counts = new Map<string, Counts>();
    const ids = new Map<string, number | bigint>();
    for (const { session, timeMs, event } of pending) {
      const count = counts.get(session) ?? { statements: 0, denied: 0, maskedValues: 0 };
      counts.set(session, count);
      const key = `${session} ${event.stream} ${event.statement}`;
      if (event.type === 'decision') {
        const id = this.#decision(session, timeMs, event);
        if (id !== undefined) {
          ids.set(key, id);
          count.statements += 1;
          count.denied += event.effect === 'refuse' ? 1 : 0;
        }
      } else {
        const id = ids.get(key) ?? this.#idOf(session, event);
        if (id !== undefined) {
          this.#result(id, event);
          count.maskedValues += event.maskedValues;
        }
      }
    }
    for (const [session, { statements, denied, maskedValues }] of counts) {
      this.#statements.count.run(statements, denied, maskedValues, session);
    }
  }

  #flushGuarded(): void {
    try {
      this.flush();
    } catch (error) {
      // The recordings hold the same; readiness tells the operator that the index cannot write.
      this.#onFault(error);
    }
  }

  /** @returns the row's id; undefined when it was there. */
  #decision(session: string, timeMs: number, event: Decision): number | bigint | undefined {
    const [rule] = event.rules;
    const inserted = this.#statements.decision.run(
      session,
      event.stream,
      event.at,
      event.statement,
      timeMs,
      event.effect,
      nullable(event.verbs[0]),
      nullable(event.code),
      nullable(rule?.id),
      event.policyCommit,
    );
    const id = inserted.lastInsertRowid;
    if (inserted.changes === 0) {
      return undefined;
    }
    const add = (kind: string, names: readonly string[]): void => {
      for (const name of names) {
        this.#statements.fact.run(kind, name, id, 1, null);
      }
    };
    add('verb', event.verbs);
    add('relation', event.relations);
    add('masked', event.columnsMasked);
    for (const { id: name, file, line } of event.rules) {
      this.#statements.fact.run('rule', name, id, 1, `${file}:${line}`);
    }
    return id;
  }

  /** Of a statement that was decided in an earlier batch. */
  #idOf(session: string, event: Result): number | undefined {
    const row = this.#statements.statementId.get(session, event.stream, event.statement);
    return row === undefined ? undefined : integer(row['id']);
  }

  #result(id: number | bigint, event: Result): void {
    this.#statements.result.run(
      event.rows,
      event.maskedValues,
      nullable(event.tag),
      nullable(event.sqlState),
      id,
    );
    for (const [name, count] of Object.entries(event.detected)) {
      this.#statements.fact.run('class', name, id, count, null);
    }
  }
}

function prepareAll({ database }: IndexStore) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    decision: prepare(
      `INSERT INTO statements (session, stream, at, statement, time_ms, effect, verb, code, rule,
         policy_commit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    fact: prepare(
      `INSERT INTO statement_facts (kind, name, statement, count, extra) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    ),
    statementId: prepare(
      'SELECT id FROM statements WHERE session = ? AND stream = ? AND statement = ?',
    ),
    // A portal that is executed in parts reports each part.
    result: prepare(
      `UPDATE statements SET rows = coalesce(rows, 0) + ?1, tag = ?3, sql_state = ?4,
         masked_values = coalesce(masked_values, 0) + ?2 WHERE id = ?5`,
    ),
    count: prepare(
      `UPDATE sessions SET statements = statements + ?, denied = denied + ?,
         masked_values = masked_values + ? WHERE id = ?`,
    ),
  };
}
