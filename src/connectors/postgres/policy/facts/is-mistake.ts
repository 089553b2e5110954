import { SQL_STATE } from '../../sql-state.ts';
import type { SqlRefusal } from './types.ts';

/** SQLSTATE of what is wrong with a name: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const UNKNOWN_NAME = {
  relation: SQL_STATE.undefinedTable,
  function: SQL_STATE.undefinedFunction,
  column: SQL_STATE.undefinedColumn,
  type: SQL_STATE.undefinedObject,
  prepared: SQL_STATE.invalidStatementName,
  cursor: SQL_STATE.invalidCursorName,
} as const;

const MISTAKES: ReadonlySet<string> = new Set([
  SQL_STATE.syntaxError,
  SQL_STATE.wrongObjectType,
  ...Object.values(UNKNOWN_NAME),
]);

/**
 * Whether the statement itself is wrong, so that it would fail on any server: no decision about
 * it was made, and it counts as failed, not as denied.
 */
export function isMistake({ sqlState }: SqlRefusal): boolean {
  return MISTAKES.has(sqlState);
}
