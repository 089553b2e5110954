/** Lookups by person, target and day, in the gateway's store. */
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type Spender,
} from '../index/day-budget.ts';
import type { LookupBudget, LookupUse } from './lookup-budget.ts';

export class StoredLookupBudget implements LookupBudget {
  readonly #days: DayBudget;
  readonly #store: DayBudgetOptions['store'];

  constructor(options: DayBudgetOptions) {
    this.#days = new DayBudget('lookups', options);
    this.#store = options.store;
  }

  async spend(
    person: Spender,
    target: string,
    { candidates, limit }: LookupUse,
  ): Promise<DayReceipt> {
    try {
      const use = { amount: candidates, limit };
      return await this.#store.transaction(() => this.#days.spend(person, target, use));
    } catch (error) {
      return this.#days.failed(target, error);
    }
  }
}
