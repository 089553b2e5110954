/** Changed rows by person, target and day, in the gateway's index. */
import { DayBudget, type DayBudgetOptions } from '../index/day-budget.ts';
import type { ChangedRowsBudget } from './changed-rows-budget.ts';

export class StoredChangedRowsBudget extends DayBudget implements ChangedRowsBudget {
  constructor(options: DayBudgetOptions) {
    super('changed_rows', options);
  }
}
