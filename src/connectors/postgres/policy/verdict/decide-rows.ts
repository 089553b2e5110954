/** What becomes of an allowed statement, now that it is known how many rows it changes. */
import { describeChanges, type RowChanges } from '../../../../policy/row-changes.ts';
import type { ApprovalDemand } from '../../../../policy/types.ts';
import type { AllowedStatement, RowThreshold, SqlRefusal } from '../facts/types.ts';

export type RowDecision =
  | { readonly effect: 'allow' }
  /** May run once these are satisfied as well. */
  | { readonly effect: 'hold'; readonly approvals: readonly ApprovalDemand[] }
  | { readonly effect: 'refuse'; readonly refusal: SqlRefusal };

export function decideRows(
  { rowThresholds = [] }: Pick<AllowedStatement, 'rowThresholds'>,
  changes: RowChanges,
): RowDecision {
  const exceeded = rowThresholds.filter((threshold) => isAbove(changes, threshold));
  for (const { outcome } of exceeded) {
    if (outcome.effect === 'refuse') {
      return { effect: 'refuse', refusal: withCount(outcome.refusal, changes) };
    }
  }
  const approvals = exceeded.flatMap(({ outcome }) =>
    outcome.effect === 'hold' ? outcome.approvals : [],
  );
  return approvals.length === 0 ? { effect: 'allow' } : { effect: 'hold', approvals };
}

/** What is not counted is above every threshold. */
function isAbove(changes: RowChanges, { above }: RowThreshold): boolean {
  return changes.counted === 'not counted' || changes.rows > above;
}

/**
 * Whether an approval that was given for `approved` covers a statement that now changes `changes`.
 * What could not be counted then is approved whatever it changes.
 */
export function isCovered(changes: RowChanges, approved: RowChanges): boolean {
  return (
    approved.counted === 'not counted' ||
    (changes.counted !== 'not counted' && changes.rows <= approved.rows)
  );
}

function withCount(refusal: SqlRefusal, changes: RowChanges): SqlRefusal {
  return { ...refusal, detail: [describeChanges(changes), refusal.detail].join(' ') };
}
