import type { SqlRefusal } from './types.ts';

/** SQLSTATE of what is wrong with a name: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const UNKNOWN_NAME = {
  relation: '42P01',
  function: '42883',
  column: '42703',
  type: '42704',
  prepared: '26000',
  cursor: '34000',
} as const;

export const SYNTAX_ERROR = '42601';
/** A view where a table has to be. */
export const WRONG_OBJECT_TYPE = '42809';

const MISTAKES: ReadonlySet<string> = new Set([
  SYNTAX_ERROR,
  WRONG_OBJECT_TYPE,
  ...Object.values(UNKNOWN_NAME),
]);

/**
 * Whether the statement itself is wrong, so that it would fail on any server: no decision about
 * it was made, and it counts as failed, not as denied.
 */
export function isMistake({ sqlState }: SqlRefusal): boolean {
  return MISTAKES.has(sqlState);
}
