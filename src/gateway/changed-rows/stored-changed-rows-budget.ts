/** Changed rows by person, target and day, in the gateway's index. */

import { errorFields, type Log } from '../base/log.ts';
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type DayUse,
  type Spender,
} from '../index/day-budget.ts';
import type { ChangedRowsBudget } from './changed-rows-budget.ts';

export interface StoredChangedRowsBudgetOptions extends DayBudgetOptions {
  readonly log: Log;
}

export class StoredChangedRowsBudget implements ChangedRowsBudget {
  readonly #log: Log;
  readonly #days: DayBudget;

  constructor({ log, ...options }: StoredChangedRowsBudgetOptions) {
    this.#log = log;
    this.#days = new DayBudget('changed_rows', options);
  }

  spend(person: Spender, target: string, use: DayUse): DayReceipt {
    try {
      return this.#days.spend(person, target, use);
    } catch (error) {
      this.#log.error('changed_rows.not_counted', { target, ...errorFields(error) });
      throw error;
    }
  }
}
