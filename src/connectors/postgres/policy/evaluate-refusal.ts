/** Refusals of statements: as of anything, with the SQLSTATE that PostgreSQL has for it. */
import { type RefusalText, refusal as refusalOf } from '../../../policy/refusal.ts';
import type { Grant } from '../../../policy/types.ts';
import type { SqlRefusal } from './types.ts';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: insufficient_privilege. */
export const DENIED = '42501';

export function refusal(
  grant: Grant,
  { sqlState = DENIED, ...text }: RefusalText & { readonly sqlState?: string },
): SqlRefusal {
  return { ...refusalOf(grant, text), sqlState };
}
