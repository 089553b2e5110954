/**
 * How many values of masked columns people may look up, at all gateways of one store together: what is
 * used is in the store.
 */
import type { DayReceipt, Spender } from '../index/day-budget.ts';

export interface LookupUse {
  /** Values that a statement is about to compare with masked columns. */
  readonly candidates: number;
  /** Of the day, by the policy in force. */
  readonly limit: number;
}

export interface LookupBudget {
  /**
   * Asked before a statement is sent, each time that it runs.
   * @throws where it cannot be counted: then it must not run.
   */
  spend(person: Spender, target: string, use: LookupUse): Promise<DayReceipt>;
}
