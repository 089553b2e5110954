/**
 * Events in the store, in an order that readers can follow.
 *
 * SQLite has one writer, so the order of the numbers is that in which transactions were committed.
 * In PostgreSQL it is not: a slow transaction has a low number and is seen late, when a reader has
 * passed it. There the position is the id of the writing transaction, and what is read is below the
 * oldest one that is still open: nothing can come before it any more.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */
import { type BulkSql, type Sql, sql } from '../store/store.ts';

/** Transactions that begin from now on have this id or a later one. */
const NEXT = 'pg_snapshot_xmax(pg_current_snapshot())::text::bigint';
/** base: ids of transactions begin anew in a server that a dump was restored to. */
const BASE = '(SELECT base FROM audit_state)';
const IS_SETTLED = `position < ${BASE} + pg_snapshot_xmin(pg_current_snapshot())::text::bigint`;
const COLUMNS = ['time_ms', 'type', 'session', 'names', 'event'] as const;

/** Rows: time, type, session or null, names (`namesOf`), the event as JSON. */
export const ADD: BulkSql = {
  kind: 'bulk',
  columns: COLUMNS,
  sqlite: `INSERT INTO audit_events (${COLUMNS.join(', ')}) VALUES (?, ?, ?, ?, ?)`,
  postgres: `INSERT INTO audit_events (position, ${COLUMNS.join(', ')})
     SELECT ${BASE} + pg_current_xact_id()::text::bigint, * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])`,
  hasRows: false,
};

export const CREATE_STATE = sql(
  'INSERT INTO audit_state (one, id) VALUES (1, $id) ON CONFLICT DO NOTHING',
);
/** Of a restored dump: what is written from now on comes after what is there. */
export const REBASE = sql(
  'UPDATE audit_state SET base = 0 WHERE base <> 0',
  `UPDATE audit_state SET id = $id, base = (SELECT max(position) FROM audit_events) + 1
   WHERE (SELECT max(position) FROM audit_events) >= base + ${NEXT}`,
);

const MATCHES = (position: 'instr' | 'strpos'): string =>
  `CASE WHEN (CAST($types AS TEXT) IS NULL OR ${position}($types, ',' || type || ',') > 0)
     AND (CAST($session AS TEXT) IS NULL OR session = $session)
     AND (CAST($user AS TEXT) IS NULL OR ${position}(names, $user) > 0)
     AND time_ms >= $sinceMs THEN 1 ELSE 0 END`;

/**
 * The first and the last of what was looked at come, too: a reader goes on behind the last. All in one
 * statement, so that what retention takes away is there, or known to be missing.
 */
function page(after: { sqlite: string; postgres: string }, order: 'ASC' | 'DESC'): Sql {
  const text = (
    where: string,
    position: string,
    matches: string,
    at: string,
  ) => `SELECT s.id, s.cut_position, s.cut_number, s.cut_ms, ${at} AS at_ms,
       p.position, p.number, p.time_ms, p.matches, p.scanned, p.event
     FROM audit_state s LEFT JOIN (
       SELECT position, number, time_ms, matches, count(*) OVER () AS scanned,
         row_number() OVER (ORDER BY position, number) AS first,
         row_number() OVER (ORDER BY position DESC, number DESC) AS last,
         CASE matches WHEN 1 THEN event END AS event
       FROM (SELECT ${position} AS position, number, time_ms, event, ${matches} AS matches
         FROM audit_events WHERE ${where}
         ORDER BY position ${order}, number ${order} LIMIT $scan) AS looked
     ) AS p ON p.matches = 1 OR p.first = 1 OR p.last = 1
     ORDER BY p.position, p.number`;
  return sql(
    text(
      after.sqlite,
      '0',
      MATCHES('instr'),
      '(SELECT time_ms FROM audit_events WHERE number = $number)',
    ),
    text(
      `${after.postgres} AND ${IS_SETTLED}`,
      'position',
      MATCHES('strpos'),
      '(SELECT time_ms FROM audit_events WHERE position = $position AND number = $number)',
    ),
  );
}

export const FOLLOWING = page(
  { sqlite: 'number > $number', postgres: '(position, number) > ($position, $number)' },
  'ASC',
);
export const NEWEST = page({ sqlite: 'number > $number', postgres: 'number > $number' }, 'DESC');

/** In the order of writing times are nearly in order, too: one of ten minutes is no later than that. */
const FROM_TIME = `(SELECT min(time_ms) AS ms FROM audit_events WHERE time_ms >= $sinceMs) AS first
   WHERE time_ms BETWEEN first.ms AND first.ms + 600000`;
export const FIRST_SINCE = sql(
  `SELECT 0 AS position, number FROM audit_events, ${FROM_TIME} ORDER BY number LIMIT 1`,
  `SELECT position, number FROM audit_events, ${FROM_TIME} ORDER BY position, number LIMIT 1`,
);

/** Oldest first. */
export const OLDEST = sql(
  'SELECT 0 AS position, number, time_ms FROM audit_events ORDER BY number LIMIT $limit',
  `SELECT position, number, time_ms FROM audit_events WHERE ${IS_SETTLED}
   ORDER BY position, number LIMIT $limit`,
);
export const LAST_NUMBER = sql('SELECT coalesce(max(number), 0) AS number FROM audit_events');
export const LOCK_STATE = sql(
  'SELECT cut_position, cut_number FROM audit_state',
  'SELECT cut_position, cut_number FROM audit_state FOR UPDATE',
);
export const FORGET = sql(
  'DELETE FROM audit_events WHERE number <= $number',
  'DELETE FROM audit_events WHERE (position, number) <= ($position, $number)',
);
export const CUT = sql(
  'UPDATE audit_state SET cut_position = $position, cut_number = $number, cut_ms = $ms',
);
