/** How many rows people may change in a day. */
import type { DayReceipt, DayUse, Spender } from '../index/day-budget.ts';

export interface ChangedRowsBudget {
  /**
   * Asked when a statement is counted, before anything that could commit it is sent.
   * @throws where it cannot be written down: then it must not be committed.
   */
  spend(person: Spender, target: string, use: DayUse): Promise<DayReceipt>;
}
