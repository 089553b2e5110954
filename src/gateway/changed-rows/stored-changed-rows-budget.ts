/** Changed rows by person, target and day, in the gateway's index. */
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type DayUse,
  type Spender,
} from '../index/day-budget.ts';
import type { SqliteStore } from '../store/sqlite-store.ts';
import type { ChangedRowsBudget } from './changed-rows-budget.ts';

export interface StoredChangedRowsOptions extends DayBudgetOptions {
  /** The one in this process: the engine cannot wait for another. */
  readonly store: SqliteStore;
}

export class StoredChangedRowsBudget implements ChangedRowsBudget {
  readonly #days: DayBudget;
  readonly #store: SqliteStore;

  constructor(options: StoredChangedRowsOptions) {
    this.#days = new DayBudget('changed_rows', options);
    this.#store = options.store;
  }

  spend(person: Spender, target: string, use: DayUse): DayReceipt {
    try {
      return this.#store.transactionNow(() => this.#days.spend(person, target, use));
    } catch (error) {
      return this.#days.failed(target, error);
    }
  }
}
