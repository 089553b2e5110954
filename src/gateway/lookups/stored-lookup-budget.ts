/** Lookups by person, target and day, in the gateway's index. */
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type Spender,
} from '../index/day-budget.ts';
import type { LookupBudget, LookupUse } from './lookup-budget.ts';

export class StoredLookupBudget implements LookupBudget {
  readonly #days: DayBudget;

  constructor(options: DayBudgetOptions) {
    this.#days = new DayBudget('lookups', options);
  }

  async spend(
    person: Spender,
    target: string,
    { candidates, limit }: LookupUse,
  ): Promise<DayReceipt> {
    return this.#days.spend(person, target, { amount: candidates, limit });
  }
}
