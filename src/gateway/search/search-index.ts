/**
 * What the index knows for a search. Whose sessions may be seen is part of every query, so that
 * those of others cost no time and leave no gap that could be noticed.
 */
import type { StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type IndexStore, integer, nullable, optionalText, text } from '../index/index-store.ts';

export interface SearchScope {
  /** Only this principal's; undefined: everybody's. */
  readonly owner: { readonly issuer: string; readonly sub: string } | undefined;
  /** Only this run's. */
  readonly run: string | undefined;
  readonly user: string | undefined;
  readonly target: string | undefined;
  readonly agent: string | undefined;
  readonly touches: string | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly denied: boolean;
}

/** Live sessions come first, the one that was opened last before the others; then by their end. */
export interface SessionPlace {
  /** undefined: it is live. */
  readonly endedMs: number | undefined;
  readonly startedMs: number;
  readonly id: string;
}

export interface FoundSession extends SessionPlace {
  readonly number: number;
  readonly target: string;
  readonly principal: string;
  readonly agent: string | undefined;
  readonly isAgent: boolean;
  readonly requester: string | undefined;
  readonly run: string | undefined;
}

/** Newest first; several have the same time. */
export interface StatementPlace {
  readonly timeMs: number;
  readonly stream: number;
  readonly statement: number;
}

export interface FoundStatement extends StatementPlace {
  readonly effect: string;
  readonly code: string | undefined;
  readonly verbs: readonly string[];
  readonly touches: readonly string[];
}

/** Of a list; all of them are in the recording. */
const MAX_FACTS = 20;
/** About a millisecond's work. */
const PAGE_ROWS = 1000;

export class SearchIndex {
  readonly #prepared: ReturnType<typeof prepareAll>;

  constructor(store: IndexStore) {
    this.#prepared = prepareAll(store);
  }

  /** @param after undefined: from the beginning */
  sessions(scope: SearchScope, after: SessionPlace | undefined, limit: number): FoundSession[] {
    const filters = { ...filtersOf(scope), limit };
    const place = (endedMs: number | undefined) => ({
      afterMs: nullable(endedMs),
      afterId: after?.id ?? '',
    });
    const live =
      after === undefined || after.endedMs === undefined
        ? this.#prepared.live.all({ ...filters, ...place(after?.startedMs) })
        : [];
    const room = limit - live.length;
    const ended =
      room > 0
        ? this.#prepared.ended.all({ ...filters, ...place(after?.endedMs), limit: room })
        : [];
    return [...live, ...ended].map(foundSession);
  }

  /** The same filters apply: an id alone opens nothing. */
  session(scope: SearchScope, id: string): FoundSession | undefined {
    const row = this.#prepared.one.get({ ...filtersOf(scope), id });
    return row && foundSession(row);
  }

  /**
   * A session may have millions of statements, in the order of its connections: they are looked
   * through in pages, and the event loop turns between two of them.
   */
  async statements(
    session: number,
    scope: SearchScope,
    before: StatementPlace | undefined,
    limit: number,
  ): Promise<FoundStatement[]> {
    const touched = scope.touches === undefined ? undefined : this.#touching(scope.touches);
    let rows: Row[] = [];
    let from = { stream: Number.MAX_SAFE_INTEGER, statement: Number.MAX_SAFE_INTEGER };
    for (;;) {
      const page = this.#prepared.statements.all({ session, ...from, limit: PAGE_ROWS }).map(rowOf);
      const last = page.at(-1);
      rows.push(...page.filter((row) => isWanted(row, scope, touched, before)));
      if (rows.length > 4 * limit) {
        rows = newest(rows, limit);
      }
      if (last === undefined || page.length < PAGE_ROWS) {
        return newest(rows, limit).map((row) => this.#found(row));
      }
      from = { stream: last.stream, statement: last.statement };
      await nextTurn();
    }
  }

  #touching(name: string): ReadonlySet<number> {
    return new Set(this.#prepared.touching.all(name).map((row) => integer(row['touched'])));
  }

  #found({ touched, ...row }: Row): FoundStatement {
    const facts = (kind: string): string[] => {
      const names = touched.flatMap((id) => this.#prepared.facts.all(kind, id, MAX_FACTS));
      return [...new Set(names.map(({ name }) => text(name)))].slice(0, MAX_FACTS);
    };
    return { ...row, verbs: facts('verb'), touches: facts('relation') };
  }
}

interface Row extends StatementPlace {
  readonly effect: string;
  readonly code: string | undefined;
  /** Of each decision about it. */
  readonly touched: readonly number[];
}

function rowOf(row: Record<string, unknown>): Row {
  return {
    timeMs: integer(row['time_ms']),
    stream: integer(row['stream']),
    statement: integer(row['statement']),
    effect: text(row['effect']),
    code: optionalText(row['code']),
    touched: [row['touched'], row['refused_touched']].flatMap((id) =>
      id === null ? [] : integer(id),
    ),
  };
}

function isWanted(
  row: Row,
  { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, denied }: SearchScope,
  touched: ReadonlySet<number> | undefined,
  before: StatementPlace | undefined,
): boolean {
  return (
    row.timeMs >= sinceMs &&
    row.timeMs <= untilMs &&
    (!denied || row.effect === 'refuse') &&
    (touched === undefined || row.touched.some((id) => touched.has(id))) &&
    (before === undefined || newestFirst(before, row) < 0)
  );
}

function newest(rows: readonly Row[], limit: number): Row[] {
  return rows.toSorted(newestFirst).slice(0, limit);
}

function newestFirst(a: StatementPlace, b: StatementPlace): number {
  return b.timeMs - a.timeMs || b.stream - a.stream || b.statement - a.statement;
}

function filtersOf(scope: SearchScope) {
  const { user } = scope;
  return {
    issuer: nullable(scope.owner?.issuer),
    sub: nullable(scope.owner?.sub),
    run: nullable(scope.run),
    user: nullable(user),
    mailbox: nullable(user === undefined ? undefined : `${likeText(user)}@%`),
    target: nullable(scope.target),
    agent: nullable(scope.agent),
    touches: nullable(scope.touches),
    since: nullable(scope.sinceMs),
    until: nullable(scope.untilMs),
    denied: scope.denied ? 1 : 0,
  };
}

function foundSession(row: Record<string, unknown>): FoundSession {
  return {
    number: integer(row['number']),
    id: text(row['id']),
    target: text(row['target']),
    principal: text(row['name']),
    agent: optionalText(row['agent']),
    isAgent: integer(row['agent_itself']) === 1,
    requester: optionalText(row['requester']),
    run: optionalText(row['run']),
    startedMs: integer(row['started_ms']),
    endedMs: row['ended_ms'] === null ? undefined : integer(row['ended_ms']),
  };
}

function likeText(wanted: string): string {
  return wanted.replace(/[\\%_]/g, '\\$&');
}

const FILTERS = `
  ($issuer IS NULL OR (issuer = $issuer AND sub = $sub))
  AND ($run IS NULL OR run = $run)
  AND ($user IS NULL OR lower(name) = lower($user) OR sub = $user OR name LIKE $mailbox ESCAPE '\\')
  AND ($target IS NULL OR target = $target)
  AND ($agent IS NULL OR agent = $agent)
  AND ($until IS NULL OR started_ms <= $until)
  AND ($denied = 0 OR denied > 0)
  AND ($touches IS NULL OR EXISTS (
    SELECT 1 FROM touched_facts f CROSS JOIN statements s ON s.touched = f.touched
    WHERE f.kind = 'relation' AND f.name = $touches AND s.session = sessions.number))`;

function prepareAll({ database }: IndexStore) {
  const prepare = (sql: string): StatementSync => {
    const statement = database.prepare(sql);
    // Each query has the filters that it needs of all.
    statement.setAllowUnknownNamedParameters(true);
    return statement;
  };
  return {
    live: prepare(
      `SELECT * FROM sessions WHERE state = 'live' AND ${FILTERS}
         AND ($afterMs IS NULL OR (started_ms, id) < ($afterMs, $afterId))
       ORDER BY started_ms DESC, id DESC LIMIT $limit`,
    ),
    ended: prepare(
      `SELECT * FROM sessions WHERE ended_ms IS NOT NULL AND ${FILTERS}
         AND ($since IS NULL OR ended_ms >= $since)
         AND ($afterMs IS NULL OR (ended_ms, id) < ($afterMs, $afterId))
       ORDER BY ended_ms DESC, id DESC LIMIT $limit`,
    ),
    one: prepare(`SELECT * FROM sessions WHERE id = $id AND ${FILTERS}`),
    // What was refused after all is one statement, of the time when it was asked for.
    statements: prepare(
      `SELECT s.time_ms, s.stream, s.statement, coalesce(refusal.effect, s.effect) AS effect,
         coalesce(refusal.code, s.code) AS code, s.touched, refusal.touched AS refused_touched
       FROM statements s LEFT JOIN statements refusal
         ON refusal.session = s.session AND refusal.stream = s.stream
           AND refusal.statement = s.statement + 1 AND refusal.of_the_last = 1
       WHERE s.session = $session AND s.of_the_last = 0
         AND (s.stream, s.statement) < ($stream, $statement)
       ORDER BY s.stream DESC, s.statement DESC LIMIT $limit`,
    ),
    touching: prepare("SELECT touched FROM touched_facts WHERE kind = 'relation' AND name = ?"),
    facts: prepare(
      'SELECT name FROM touched_facts WHERE kind = ? AND touched = ? ORDER BY name LIMIT ?',
    ),
  };
}
