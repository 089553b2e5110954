/**
 * Limits of the rows that a transaction, or a person in a day, may change: what each statement has
 * changed is added up when it is counted, before anything that could commit it is sent. What is used of
 * the day stays used, whatever becomes of the transaction.
 */

import { utcTime } from '../../../../gateway/base/utc-time.ts';
import type { DayReceipt } from '../../../../gateway/index/day-budget.ts';
import { describeChanges, type RowChanges } from '../../../../policy/row-changes.ts';
import { groupedDigits, rowCountText } from '../../../../policy/words/describe-grant.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { decideRows, type RowDecision } from '../../policy/verdict/decide-rows.ts';
import { describeStatement } from '../../policy/verdict/evaluate-access.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { PostgresStreamOptions } from '../types.ts';

type Options = Pick<PostgresStreamOptions, 'grant' | 'changedRows' | 'principal' | 'target'>;

/**
 * What becomes of a statement whose rows cannot be counted.
 * @param isApproved somebody has let it run, with no number
 */
export function decideUncounted(
  allowed: AllowedStatement | undefined,
  changes: RowChanges,
  isApproved: boolean,
): RowDecision {
  const decision = decideRows(allowed ?? {}, changes);
  return decision.effect === 'allow' && allowed?.rowsAreBudgeted && !isApproved
    ? { effect: 'refuse', refusal: notCountable(allowed, changes) }
    : decision;
}

export class RowBudget {
  readonly #options: Options;
  /** Rows that the open transaction has changed, as far as they were counted. */
  #inTransaction = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Called in the order in which statements are counted, once for each, and not again before the
   * answer is there.
   * @param isApproved somebody let it run: it uses up what is left, and is not refused.
   * @returns why it must not be committed; a promise only where a day is limited
   */
  spend(
    allowed: AllowedStatement,
    changes: RowChanges,
    isApproved: boolean,
  ): SqlRefusal | undefined | Promise<SqlRefusal | undefined> {
    const { limits } = this.#options.grant();
    const { changedRowsPerTransaction: perTransaction, changedRowsPerDay: perDay } = limits;
    if (perTransaction === undefined && perDay === undefined) return undefined;
    if (changes.counted === 'not counted') {
      return isApproved ? undefined : notCountable(allowed, changes);
    }
    if (changes.rows === 0) return undefined;
    const sum = this.#inTransaction + changes.rows;
    if (perTransaction !== undefined && sum > perTransaction && !isApproved) {
      return transactionUsedUp(allowed, changes, {
        limit: perTransaction,
        left: Math.max(0, perTransaction - this.#inTransaction),
      });
    }
    if (perDay !== undefined) return this.#spendDay(allowed, changes, perDay, isApproved);
    this.#inTransaction = sum;
    return undefined;
  }

  /** What comes now is in another one. */
  transactionEnded(): void {
    this.#inTransaction = 0;
  }

  async #spendDay(
    allowed: AllowedStatement,
    changes: Extract<RowChanges, { counted: 'trial' }>,
    limit: number,
    isApproved: boolean,
  ): Promise<SqlRefusal | undefined> {
    const { changedRows, principal, target, grant } = this.#options;
    const { generation } = grant();
    let receipt: DayReceipt;
    try {
      const use = { amount: changes.rows, limit, isApproved };
      receipt = await changedRows.spend(principal, target.name, use);
    } catch {
      // The budget has told the operator.
      return notStored(allowed);
    }
    if (receipt.type === 'exhausted') return dayUsedUp(allowed, changes, limit, receipt);
    // The limits that it was held against are those of before.
    if (grant().generation !== generation) return changedMeanwhile(allowed);
    this.#inTransaction += changes.rows;
    return undefined;
  }
}

// Why a statement is refused by a limit of changed rows.

type Counted = Extract<RowChanges, { counted: 'trial' }>;
type Texts = Pick<SqlRefusal, 'message' | 'detail' | 'hint'>;

const OWNER = 'ask the policy’s owner for more';

function transactionUsedUp(
  allowed: AllowedStatement,
  changes: Counted,
  { limit, left }: { readonly limit: number; readonly left: number },
): SqlRefusal {
  const others = limit - left;
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: it changes ${rowCountText(changes.rows)}, and ${leftText(left)} in this transaction`,
    detail: `${describeChanges(changes)} The policy permits ${rowCountText(limit)} per transaction, across all its statements.`,
    hint:
      others > 0 && changes.rows <= limit
        ? `Commit before it, or change fewer rows; a new transaction starts with ${rowCountText(limit)}. Or ${OWNER}.`
        : `Change at most ${rowCountText(limit)} in one transaction, or ${OWNER}.`,
  });
}

function dayUsedUp(
  allowed: AllowedStatement,
  changes: Counted,
  limit: number,
  { left, resetsMs }: DayReceipt,
): SqlRefusal {
  const next = `The next day begins at ${utcTime(resetsMs)}.`;
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: it changes ${rowCountText(changes.rows)}, and ${leftText(left)} today`,
    detail: `${describeChanges(changes)} The policy permits you ${rowCountText(limit)} a day on this target, across all your sessions and agents. This statement used none of them.`,
    hint: left === 0 ? `${next} Or ${OWNER}.` : `Change fewer rows, or ${OWNER}. ${next}`,
  });
}

function notCountable(allowed: AllowedStatement, changes: RowChanges): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ROWS',
    message: `${describeStatement(allowed.analysis)} is not permitted: its rows cannot be counted`,
    detail: `${describeChanges(changes)} The policy limits the rows that you may change per transaction or per day.`,
    hint: 'Rewrite it so that its rows can be counted, or ask the policy’s owner for a rule that lets somebody approve it.',
  });
}

function changedMeanwhile(allowed: AllowedStatement): SqlRefusal {
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: the session’s rights changed while its rows were counted`,
    detail: 'Its rows still count for today.',
    hint: 'Send it again.',
  });
}

function notStored(allowed: AllowedStatement): SqlRefusal {
  return limitReached({
    message: `${describeStatement(allowed.analysis)} was rolled back: its row count cannot be stored now`,
    detail:
      'The policy limits the rows that you may change per day, and the gateway cannot store the count.',
    hint: 'Try again later, or tell whoever runs the gateway.',
  });
}

function leftText(left: number): string {
  if (left === 0) return 'none is left';
  return `${groupedDigits(left)} ${left === 1 ? 'is' : 'are'} left`;
}

function limitReached(texts: Texts): SqlRefusal {
  return sqlRefusal({ ...texts, code: 'HOOP_LIMIT' }, SQL_STATE.programLimitExceeded);
}
