/** Results of statements as rows of the index: what each adds to its statement, and its classes. */
import { all, bulk, integer, nullable, sql, storable, type Work } from '../store/store.ts';
import type { Pending, Result } from './pending-statement.ts';

/** Of a statement: when it was decided; when its last result ended that was of another message. */
export interface Times {
  readonly timeMs: number;
  readonly lastMs: number | null;
}

export function timesOf({ decision, result, timeMs, resultMs }: Pending): Times {
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
export type ClassRow = readonly [
  ...[name: string, statement: number, session: number],
  ...[timeMs: number, lastMs: number | null, count: number, clear: number],
];

export function countClass(classes: Map<string, ClassRow>, add: ClassHits): void {
  const { id, session, name, timeMs, lastMs } = add;
  const key = `${id} ${name}`;
  const before = classes.get(key);
  const [count, clear] = before === undefined ? [0, 0] : [before[5], before[6]];
  // What comes later in a lot is later.
  const last = lastMs ?? before?.[4] ?? null;
  classes.set(key, [name, id, session, timeMs, last, count + add.count, clear + add.clear]);
}

/** Of a statement that was decided in an earlier lot. @returns its id and its times */
export function* addResult(
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

export const ADD_CLASSES = bulk(
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
