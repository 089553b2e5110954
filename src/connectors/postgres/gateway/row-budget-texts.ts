/** Why a statement is refused by a limit of changed rows. */

import { utcTime } from '../../../gateway/base/utc-time.ts';
import type { DayReceipt } from '../../../gateway/index/day-budget.ts';
import { rowCountText } from '../../../policy/describe-grant.ts';
import { describeChanges, type RowChanges } from '../../../policy/row-changes.ts';
import { describeStatement } from '../policy/evaluate-access.ts';
import { sqlRefusal } from '../policy/evaluate-refusal.ts';
import type { AllowedStatement, SqlRefusal } from '../policy/types.ts';
import { SQL_STATE } from '../sql-state.ts';

type Counted = Extract<RowChanges, { counted: 'trial' }>;
type Texts = Pick<SqlRefusal, 'message' | 'detail' | 'hint'>;

const OWNER = 'ask the owner of the policy for more';

export function transactionUsedUp(
  allowed: AllowedStatement,
  changes: Counted,
  { limit, left }: { readonly limit: number; readonly left: number },
): SqlRefusal {
  const others = limit - left;
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: it changes ${rowCountText(changes.rows)}, and ${leftText(left)} in this transaction`,
    detail: `${describeChanges(changes)} The policy permits ${rowCountText(limit)} in one transaction, all its statements together.`,
    hint:
      others > 0 && changes.rows <= limit
        ? `Commit before it, or change fewer rows; another transaction begins with ${rowCountText(limit)}. Or ${OWNER}.`
        : `Change at most ${rowCountText(limit)} in one transaction, or ${OWNER}.`,
  });
}

export function dayUsedUp(
  allowed: AllowedStatement,
  changes: Counted,
  limit: number,
  { left, resetsMs }: DayReceipt,
): SqlRefusal {
  const next = `The next day begins at ${utcTime(resetsMs)}.`;
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: it changes ${rowCountText(changes.rows)}, and ${leftText(left)} today`,
    detail: `${describeChanges(changes)} The policy permits ${rowCountText(limit)} a day for you on this target, in all your sessions and with all your agents. This statement used none of them.`,
    hint: left === 0 ? `${next} Or ${OWNER}.` : `Change fewer rows, or ${OWNER}. ${next}`,
  });
}

export function notCountable(allowed: AllowedStatement, changes: RowChanges): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ROWS',
    message: `${describeStatement(allowed.analysis)} is not permitted: its rows cannot be counted`,
    detail: `${describeChanges(changes)} The policy limits the rows that you may change in a transaction or a day.`,
    hint: 'Write it so that its rows can be counted, or ask the owner of the policy for a rule that lets somebody approve it.',
  });
}

export function changedMeanwhile(allowed: AllowedStatement): SqlRefusal {
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: what this session may do changed while its rows were counted`,
    detail: 'Its rows are used of the day.',
    hint: 'Send it again.',
  });
}

export function notStored(allowed: AllowedStatement): SqlRefusal {
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: its rows cannot be written down now`,
    detail:
      'The policy limits the rows that you may change in a day, and the gateway cannot write down that they are used.',
    hint: 'Try again later, or tell whoever runs the gateway.',
  });
}

function leftText(left: number): string {
  if (left === 0) return 'none is left';
  return `${left.toLocaleString('en-US')} ${left === 1 ? 'is' : 'are'} left`;
}

function limitReached(texts: Texts): SqlRefusal {
  return sqlRefusal({ ...texts, code: 'HOOP_LIMIT' }, SQL_STATE.programLimitExceeded);
}
