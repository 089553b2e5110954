/** Changed rows by person, target and day, in the gateway's store. */
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type DayUse,
  type Spender,
} from '../index/day-budget.ts';
import type { ChangedRowsBudget } from './changed-rows-budget.ts';

export class StoredChangedRowsBudget implements ChangedRowsBudget {
  readonly #days: DayBudget;
  readonly #store: DayBudgetOptions['store'];

  constructor(options: DayBudgetOptions) {
    this.#days = new DayBudget('changed_rows', options);
    this.#store = options.store;
  }

  async spend(person: Spender, target: string, use: DayUse): Promise<DayReceipt> {
    try {
      return await this.#store.transaction(() => this.#days.spend(person, target, use));
    } catch (error) {
      return this.#days.failed(target, error);
    }
  }
}
