/** Refusals of statements: as of anything, with the SQLSTATE that PostgreSQL has for it. */
import {
  plainRefusal,
  type RefusalText,
  refusal as refusalOf,
} from '../../../../policy/refusal.ts';
import type { Grant } from '../../../../policy/types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { SqlRefusal } from '../facts/types.ts';

export function refusal(
  grant: Grant,
  {
    sqlState = SQL_STATE.insufficientPrivilege,
    ...text
  }: RefusalText & { readonly sqlState?: string },
): SqlRefusal {
  return { ...refusalOf(grant, text), sqlState };
}

/** One that no rule of a grant explains. */
export function sqlRefusal(
  text: Parameters<typeof plainRefusal>[0],
  sqlState: string = SQL_STATE.insufficientPrivilege,
): SqlRefusal {
  return { ...plainRefusal(text), sqlState };
}
