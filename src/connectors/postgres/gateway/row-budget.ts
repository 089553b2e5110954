/**
 * Limits of the rows that a transaction, or a person in a day, may change: what each statement has
 * changed is added up when it is counted, before anything that could commit it is sent. What is used of
 * the day stays used, whatever becomes of the transaction.
 */

import type { DayReceipt } from '../../../gateway/index/day-budget.ts';
import type { RowChanges } from '../../../policy/row-changes.ts';
import { decideRows, type RowDecision } from '../policy/decide-rows.ts';
import type { AllowedStatement, SqlRefusal } from '../policy/types.ts';
import {
  changedMeanwhile,
  dayUsedUp,
  notCountable,
  notStored,
  transactionUsedUp,
} from './row-budget-texts.ts';
import type { PostgresStreamOptions } from './types.ts';

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
