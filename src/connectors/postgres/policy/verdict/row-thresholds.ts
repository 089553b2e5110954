/**
 * Rules with `rows`, turned into what becomes of a statement at each number of changed rows: what is
 * decided does not wait for the count, and the count is compared with numbers alone.
 */
import { demandOf } from '../../../../policy/decide-by-rules.ts';
import type { Grant, StatementRule } from '../../../../policy/types.ts';
import { rowCountText } from '../../../../policy/words/describe-grant.ts';
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { AllowedStatement, RowThreshold, SqlRefusal } from '../facts/types.ts';
import { changesRows } from '../writes/row-count.ts';
import { type Access, describeStatement, type RowLimit, unanswerable } from './evaluate-access.ts';
import { refusal } from './evaluate-refusal.ts';

/** @returns in no order; empty for what changes no rows itself */
export function rowThresholds(
  analysis: StatementAnalysis,
  grant: Grant,
  { limits, above }: Pick<Access & { effect: 'allow' }, 'limits' | 'above'>,
): readonly RowThreshold[] {
  if (!changesRows(analysis)) return [];
  const ends = limits.flatMap((limit) => endOf(limit, analysis, grant));
  return [
    // One rule can be what allows several parts.
    ...new Map(ends.map((end) => [end.rule.id, end])).values(),
    ...above.map((rule) => startOf(rule, analysis, grant)),
  ];
}

/** Above what an allow rule names nothing allows it, unless an approve rule has begun by then. */
function endOf(
  { rows, rule, hint, heldAbove }: RowLimit,
  analysis: StatementAnalysis,
  grant: Grant,
): readonly RowThreshold[] {
  if (heldAbove !== undefined && heldAbove <= rows) return [];
  const text = refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `${describeStatement(analysis)} that changes more than ${rowCountText(rows)} is not allowed by policy`,
    rule,
    hint,
  });
  return [{ above: rows, rule, outcome: refused(text) }];
}

function startOf(rule: StatementRule, analysis: StatementAnalysis, grant: Grant): RowThreshold {
  const above = rule.rows ?? 0;
  if (rule.effect === 'deny') {
    const text = refusal(grant, {
      code: 'HOOP_DENIED',
      message: `${describeStatement(analysis)} that changes more than ${rowCountText(above)} is denied by policy`,
      rule: rule.rule,
      hint: rule.hint,
    });
    return { above, rule: rule.rule, outcome: refused(text) };
  }
  const approvals = demandOf(rule);
  const nobody = unanswerable(approvals, analysis, grant);
  const outcome: RowThreshold['outcome'] =
    nobody === undefined ? { effect: 'hold', approvals } : refused(nobody);
  return { above, rule: rule.rule, outcome };
}

function refused(text: SqlRefusal): RowThreshold['outcome'] {
  return { effect: 'refuse', refusal: text };
}

/** Whatever the rules say, a limit of changed rows counts them. */
export function budgetedRows(
  analysis: StatementAnalysis,
  { limits: { changedRowsPerTransaction, changedRowsPerDay } }: Grant,
): Pick<AllowedStatement, 'rowsAreBudgeted'> {
  const isLimited = changedRowsPerTransaction !== undefined || changedRowsPerDay !== undefined;
  return isLimited && changesRows(analysis) ? { rowsAreBudgeted: true } : {};
}

/**
 * Thresholds in order. What needs approval anyway is not run to find out how much it changes, so
 * whoever would have to agree above some number is asked with the others, whatever the number is.
 */
export function settled(statement: AllowedStatement): AllowedStatement {
  const { approvals, rowThresholds: thresholds, ...others } = statement;
  if (thresholds === undefined) return statement;
  const inOrder = thresholds.toSorted((a, b) => a.above - b.above);
  if (approvals === undefined) return { ...statement, rowThresholds: inOrder };
  const refusing = inOrder.filter(({ outcome }) => outcome.effect === 'refuse');
  const held = inOrder.flatMap(({ outcome }) =>
    outcome.effect === 'hold' ? outcome.approvals : [],
  );
  return {
    ...others,
    approvals: [...approvals, ...held],
    ...(refusing.length === 0 ? {} : { rowThresholds: refusing }),
  };
}
