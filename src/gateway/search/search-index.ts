/**
 * What the index knows for a search. Whose sessions may be seen is part of every query, so that
 * those of others cost no time and leave no gap that could be noticed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as z from 'zod';
import { APPROVAL_STATES } from '../../api/approvals.ts';
import { MAX_SEARCH_UNKNOWN, type SearchHit } from '../../api/search.ts';
import {
  integer,
  nullable,
  optionalText,
  type Store,
  type Row as StoredRow,
  sql,
  text,
} from '../store/store.ts';

export interface SearchScope {
  /** Only this principal's; undefined: everybody's. */
  readonly owner: { readonly issuer: string; readonly sub: string } | undefined;
  /** Only this run's. */
  readonly run: string | undefined;
  readonly user: string | undefined;
  readonly target: string | undefined;
  readonly agent: string | undefined;
  readonly program: string | undefined;
  /** A relation, a column, a path, … */
  readonly touches: string | undefined;
  /** Only what returned values of this detector class. */
  readonly detected: string | undefined;
  /** Only where what is touched, or of this class, was returned in clear. */
  readonly seenClear: boolean;
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
  /** ID of the node that keeps its recording, and its address where it has one. */
  readonly node: string;
  readonly nodeUrl: string | undefined;
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
  /** The request that it waited for. */
  readonly request: string | undefined;
}

/** Of a list; all of them are in the recording. */
const MAX_FACTS = 20;
/** About a millisecond's work. */
const PAGE_ROWS = 1000;

export class SearchIndex {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @param after undefined: from the beginning */
  async sessions(
    scope: SearchScope,
    after: SessionPlace | undefined,
    limit: number,
  ): Promise<FoundSession[]> {
    const filters = { ...filtersOf(scope), limit };
    const place = (endedMs: number | undefined) => ({
      afterMs: nullable(endedMs),
      afterId: after?.id ?? '',
    });
    const live =
      after === undefined || after.endedMs === undefined
        ? await this.#store.all(LIVE, { ...filters, ...place(after?.startedMs) })
        : [];
    const room = limit - live.length;
    const ended =
      room > 0
        ? await this.#store.all(ENDED, { ...filters, ...place(after?.endedMs), limit: room })
        : [];
    return [...live, ...ended].map(foundSession);
  }

  /** The same filters apply: an id alone opens nothing. */
  async session(scope: SearchScope, id: string): Promise<FoundSession | undefined> {
    const row = await this.#store.get(ONE, { ...filtersOf(scope), id });
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
    let rows: Row[] = [];
    let from = { stream: Number.MAX_SAFE_INTEGER, statement: Number.MAX_SAFE_INTEGER };
    for (;;) {
      const place = { session, ...from, detected: nullable(scope.detected), limit: PAGE_ROWS };
      const found = await this.#store.all(STATEMENTS, place);
      const page = found.map(rowOf);
      const last = page.at(-1);
      const wanted = page.filter((row) => isWanted(row, scope, before));
      rows.push(...(await this.#touching(scope, wanted)));
      if (rows.length > 4 * limit) {
        rows = newest(rows, limit);
      }
      if (last === undefined || page.length < PAGE_ROWS) {
        return this.#found(newest(rows, limit));
      }
      from = { stream: last.stream, statement: last.statement };
      await nextTurn();
    }
  }

  /** What became of requests, by their ID; those that were forgotten are not among them. */
  async approvals(
    requests: readonly string[],
  ): Promise<ReadonlyMap<string, NonNullable<SearchHit['approval']>>> {
    if (requests.length === 0) return new Map();
    const rows = await this.#store.all(APPROVALS, { ids: JSON.stringify([...new Set(requests)]) });
    return new Map(
      Map.groupBy(rows, (row) => text(row['id']))
        .entries()
        .map(([request, votes]) => [request, approvalOf(request, votes)]),
    );
  }

  /**
   * Statements of which the index cannot say whether they did what is asked for: that they are not found
   * proves nothing. @returns undefined: nothing is asked that could be unknown. At most MAX_SEARCH_UNKNOWN.
   */
  async unknown(scope: SearchScope): Promise<number | undefined> {
    if (scope.touches === undefined && scope.detected === undefined) return undefined;
    const { touches, whole, detected, seen, denied, ...session } = filtersOf(scope);
    const row = await this.#store.get(UNKNOWN, {
      ...{ ...session, touches: null, whole: null, detected: null, seen: 0, denied: 0 },
      ...{ column: touches, all: whole, class: detected, limit: MAX_SEARCH_UNKNOWN },
      returned: seen === 1 || detected !== null ? 1 : 0,
      refused: denied,
    });
    return numberOf(row?.['count'] ?? null);
  }

  /** Of a page alone: a program that asks for other columns each time makes as many lists as statements. */
  async #touching(scope: SearchScope, page: readonly Row[]): Promise<readonly Row[]> {
    const ids = new Set(page.flatMap(({ touched }) => touched));
    if (scope.touches === undefined || ids.size === 0) return page;
    const { touches, whole, seen } = filtersOf(scope);
    const asked = { touches, whole, seen, ids: JSON.stringify([...ids]) };
    const rows = await this.#store.all(TOUCHING, asked);
    const found = new Set(rows.map((row) => integer(row['touched'])));
    return page.filter(({ touched }) => touched.some((id) => found.has(id)));
  }

  async #found(rows: readonly Row[]): Promise<FoundStatement[]> {
    // Most statements touch the same as others.
    const known = new Map<string, readonly string[]>();
    const facts = async (kind: string, touched: readonly number[]): Promise<string[]> => {
      const all: string[] = [];
      for (const id of touched) {
        const key = `${kind} ${id}`;
        const names = known.get(key) ?? (await this.#facts(kind, id));
        known.set(key, names);
        all.push(...names);
      }
      return [...new Set(all)].slice(0, MAX_FACTS);
    };
    const found: FoundStatement[] = [];
    for (const { touched, ...row } of rows) {
      const verbs = await facts('verb', touched);
      found.push({ ...row, verbs, touches: await facts('relation', touched) });
    }
    return found;
  }

  async #facts(kind: string, touched: number): Promise<readonly string[]> {
    const rows = await this.#store.all(FACTS, { kind, touched, limit: MAX_FACTS });
    return rows.map(({ name }) => text(name));
  }
}

interface Row extends StatementPlace {
  readonly effect: string;
  readonly code: string | undefined;
  readonly request: string | undefined;
  /** Of each decision about it. */
  readonly touched: readonly number[];
  /** Of its results, the last one; 0: none. */
  readonly lastMs: number;
  readonly isReturned: boolean;
  /** Values of the class that is looked for: taken out, and in clear. */
  readonly found: number;
  readonly foundClear: number;
}

function rowOf(row: StoredRow): Row {
  return {
    timeMs: integer(row['time_ms']),
    stream: integer(row['stream']),
    statement: integer(row['statement']),
    effect: text(row['effect']),
    code: optionalText(row['code']),
    request: optionalText(row['approval']),
    touched: [row['touched'], row['refused_touched']].flatMap((id) =>
      id === null ? [] : integer(id),
    ),
    lastMs: numberOf(row['last_ms']),
    isReturned: numberOf(row['bytes']) > 0,
    found: numberOf(row['found']),
    foundClear: numberOf(row['found_clear']),
  };
}

/** @param votes rows of one request: its state with each vote, or with none */
function approvalOf(
  request: string,
  votes: readonly StoredRow[],
): NonNullable<SearchHit['approval']> {
  const state = z.enum(APPROVAL_STATES).parse(votes[0]?.['state']);
  const decision = state === 'denied' ? 'deny' : 'approve';
  const by = votes.flatMap((row) => (row['decision'] === decision ? [text(row['name'])] : []));
  return { request, state, by };
}

function numberOf(value: unknown): number {
  return value === null ? 0 : integer(value);
}

function isWanted(row: Row, scope: SearchScope, before: StatementPlace | undefined): boolean {
  const { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, denied, detected, seenClear } = scope;
  const isFound = row.foundClear > 0 || (!seenClear && row.found > 0);
  return (
    // What was prepared runs for as long as its session.
    Math.max(row.timeMs, row.lastMs) >= sinceMs &&
    row.timeMs <= untilMs &&
    (!denied || row.effect === 'refuse') &&
    (!seenClear || row.isReturned) &&
    (detected === undefined || isFound) &&
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
    program: nullable(scope.program),
    touches: nullable(scope.touches),
    whole: nullable(scope.touches?.replace(/[^.]*$/, '*')),
    detected: nullable(scope.detected),
    seen: scope.seenClear ? 1 : 0,
    since: nullable(scope.sinceMs),
    until: nullable(scope.untilMs),
    denied: scope.denied ? 1 : 0,
  };
}

function foundSession(row: StoredRow): FoundSession {
  return {
    number: integer(row['number']),
    id: text(row['id']),
    node: text(row['node']),
    nodeUrl: optionalText(row['node_url']),
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

/** In clear nothing is but what was shown; of the rest any word of it counts. */
const TOUCHES = `f.kind IN ('asked', 'clear', 'masked', 'relation', 'used', 'write', 'written')
  AND f.name IN ($touches, $whole) AND (CAST($seen AS BIGINT) = 0 OR f.kind = 'clear')`;
/**
 * Decided then, or ended then: what was prepared before runs for as long as its session, so that what
 * is looked at begins with the first session that had not ended.
 */
const inTime = (
  of: 's' | 'c',
): string => `(CAST($until AS BIGINT) IS NULL OR ${of}.time_ms <= $until)
  AND (CAST($since AS BIGINT) IS NULL OR (
    ${of}.time_ms >= (SELECT min(ms) FROM (
      SELECT min(started_ms) AS ms FROM sessions WHERE ended_ms >= $since
      UNION ALL SELECT min(started_ms) FROM sessions WHERE state = 'live') AS open)
    AND (${of}.time_ms >= $since OR ${of}.last_ms >= $since)))`;
const FILTERS = `
  (CAST($issuer AS TEXT) IS NULL OR (issuer = $issuer AND sub = $sub))
  AND (CAST($run AS TEXT) IS NULL OR run = $run)
  AND (CAST($user AS TEXT) IS NULL OR lower(name) = lower($user) OR sub = $user
    OR lower(name) LIKE lower(CAST($mailbox AS TEXT)) ESCAPE '\\'
    OR lower(agent) = lower($user) OR lower(requester) = lower($user)
    OR lower(requester) LIKE lower(CAST($mailbox AS TEXT)) ESCAPE '\\')
  AND (CAST($target AS TEXT) IS NULL OR target = $target)
  AND (CAST($agent AS TEXT) IS NULL OR agent = $agent)
  AND (CAST($program AS TEXT) IS NULL OR lower(program) = lower($program))
  AND (CAST($until AS BIGINT) IS NULL OR started_ms <= $until)
  AND (CAST($denied AS BIGINT) = 0 OR denied > 0)
  AND (CAST($touches AS TEXT) IS NULL OR number IN (
    SELECT s.session FROM touched_facts f CROSS JOIN statements s
    WHERE ${TOUCHES} AND s.touched = f.touched AND ${inTime('s')}
      AND (CAST($seen AS BIGINT) = 0 OR s.bytes > 0)))
  AND (CAST($detected AS TEXT) IS NULL OR number IN (
    SELECT c.session FROM statement_classes c
    WHERE c.class = $detected AND c.session IS NOT NULL AND ${inTime('c')}
      AND (CAST($seen AS BIGINT) = 0 OR c.clear > 0)
    UNION ALL
    -- A gateway of the version before writes no times, on the same store.
    SELECT s.session FROM statement_classes c CROSS JOIN statements s
    WHERE c.class = $detected AND c.time_ms IS NULL AND s.id = c.statement AND ${inTime('s')}
      AND (CAST($seen AS BIGINT) = 0 OR c.clear > 0)))`;
/**
 * By what is touched, which is thousands where statements are millions. Where it is asked who was shown
 * something, also what nobody has looked through for the class, and what was cut off with its gateway.
 */
const UNKNOWN = sql(
  `SELECT count(*) AS count FROM (
     SELECT 1 FROM touched t CROSS JOIN statements s CROSS JOIN sessions
     WHERE s.touched = t.id AND number = s.session AND s.of_the_last = 0 AND ${inTime('s')}
       AND (s.effect = 'refuse') = (CAST($refused AS BIGINT) = 1) AND s.effect <> 'fail'
       AND (EXISTS (SELECT 1 FROM touched_facts f WHERE f.kind = 'unknown' AND f.touched = t.id
           AND (CAST($returned AS BIGINT) = 0 OR f.name = 'returned'))
         OR (CAST($class AS TEXT) IS NOT NULL AND s.bytes > 0 AND NOT EXISTS (
           SELECT 1 FROM touched_facts f
           WHERE f.kind = 'looked' AND f.name = $class AND f.touched = t.id))
         OR (CAST($returned AS BIGINT) = 1 AND s.bytes IS NULL AND end_reason = 'gateway_crash'
           AND (CAST($column AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM touched_facts f
             WHERE f.kind = 'clear' AND f.name IN ($column, $all) AND f.touched = t.id))))
       AND ${FILTERS}
     LIMIT $limit) AS found`,
);
const SESSION = 'sessions.*, (SELECT url FROM nodes WHERE nodes.id = sessions.node) AS node_url';
const LIVE = sql(
  `SELECT ${SESSION} FROM sessions WHERE state = 'live' AND ${FILTERS}
     AND (CAST($afterMs AS BIGINT) IS NULL OR (started_ms, id) < ($afterMs, $afterId))
   ORDER BY started_ms DESC, id DESC LIMIT $limit`,
);
const ENDED = sql(
  `SELECT ${SESSION} FROM sessions WHERE ended_ms IS NOT NULL AND ${FILTERS}
     AND (CAST($since AS BIGINT) IS NULL OR ended_ms >= $since)
     AND (CAST($afterMs AS BIGINT) IS NULL OR (ended_ms, id) < ($afterMs, $afterId))
   ORDER BY ended_ms DESC, id DESC LIMIT $limit`,
);
const ONE = sql(`SELECT ${SESSION} FROM sessions WHERE id = $id AND ${FILTERS}`);
// What was refused after all is one statement, of the time when it was asked for.
const STATEMENTS = sql(
  `SELECT s.time_ms, s.stream, s.statement, coalesce(refusal.effect, s.effect) AS effect,
     coalesce(refusal.code, s.code) AS code, coalesce(s.approval, refusal.approval) AS approval, s.touched, refusal.touched AS refused_touched,
     CASE WHEN c.time_ms IS NULL THEN s.last_ms ELSE c.last_ms END AS last_ms,
     s.bytes, c.count AS found, c.clear AS found_clear
   FROM statements s LEFT JOIN statements refusal
     ON refusal.session = s.session AND refusal.stream = s.stream
       AND refusal.statement = s.statement + 1 AND refusal.of_the_last = 1
     LEFT JOIN statement_classes c ON c.statement = s.id AND c.class = $detected
   WHERE s.session = $session AND s.of_the_last = 0
     AND (s.stream, s.statement) < (CAST($stream AS BIGINT), CAST($statement AS BIGINT))
   ORDER BY s.stream DESC, s.statement DESC LIMIT $limit`,
);
const TOUCHING = sql(
  `SELECT DISTINCT f.touched FROM touched_facts f
   WHERE ${TOUCHES} AND f.touched IN (SELECT value FROM json_each($ids))`,
  `SELECT DISTINCT f.touched FROM touched_facts f
   WHERE ${TOUCHES}
     AND f.touched IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($ids AS JSON)))`,
);
const APPROVED = `SELECT a.id, a.state, v.decision, v.name
   FROM approvals a LEFT JOIN approval_votes v ON v.approval = a.id`;
const APPROVALS = sql(
  `${APPROVED} WHERE a.id IN (SELECT value FROM json_each($ids)) ORDER BY v.time_ms`,
  `${APPROVED} WHERE a.id IN (SELECT json_array_elements_text(CAST($ids AS JSON))) ORDER BY v.time_ms`,
);
const FACTS = sql(
  `SELECT name FROM touched_facts WHERE kind = $kind AND touched = $touched
   ORDER BY name LIMIT $limit`,
);
