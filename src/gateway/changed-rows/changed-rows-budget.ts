/**
 * How many rows people may change in a day. `spend` answers at once, since the target's answers, of which
 * a count is one, are dealt with in the order in which they come.
 */
import type { DayReceipt, DayUse, Spender } from '../index/day-budget.ts';

export interface ChangedRowsBudget {
  /**
   * Asked when a statement is counted, before anything that could commit it is sent.
   * @throws where it cannot be written down: then it must not be committed.
   */
  spend(person: Spender, target: string, use: DayUse): DayReceipt;
}
