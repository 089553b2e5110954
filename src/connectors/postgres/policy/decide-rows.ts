/** What becomes of an allowed statement, now that it is known how many rows it changes. */
import { rowCountText } from '../../../policy/describe-grant.ts';
import { qualifiedName } from '../../../policy/patterns.ts';
import type { ApprovalDemand } from '../../../policy/types.ts';
import type { AllowedStatement, RowChanges, RowThreshold, SqlRefusal } from './types.ts';

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

/** A sentence, e.g. `It would change 4,211 rows of public.orders (counted in a run …).` */
export function describeChanges(changes: RowChanges): string {
  switch (changes.counted) {
    case 'trial':
      return `It would change ${rowsOf(changes)} (counted in a run that was rolled back; other rows may match later).`;
    case 'not counted':
      return `The rows that it would change cannot be counted: ${changes.why}.`;
  }
}

function rowsOf({ rows, relations }: Extract<RowChanges, { counted: 'trial' }>): string {
  const [only, ...others] = relations;
  if (only === undefined) return rowCountText(rows);
  const names = relations.map(
    ({ schema, name, rows: some }) => `${rowCountText(some)} of ${qualifiedName(schema, name)}`,
  );
  return others.length === 0 ? (names[0] ?? '') : `${rowCountText(rows)}: ${names.join(', ')}`;
}
