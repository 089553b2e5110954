/** Lookups by person, target and day, in the gateway's index. */

import { errorFields, type Log } from '../base/log.ts';
import {
  DayBudget,
  type DayBudgetOptions,
  type DayReceipt,
  type Spender,
} from '../index/day-budget.ts';
import type { LookupBudget, LookupUse } from './lookup-budget.ts';

export interface StoredLookupBudgetOptions extends DayBudgetOptions {
  readonly log: Log;
}

export class StoredLookupBudget implements LookupBudget {
  readonly #log: Log;
  readonly #days: DayBudget;

  constructor({ log, ...options }: StoredLookupBudgetOptions) {
    this.#log = log;
    this.#days = new DayBudget('lookups', options);
  }

  async spend(
    person: Spender,
    target: string,
    { candidates, limit }: LookupUse,
  ): Promise<DayReceipt> {
    try {
      return this.#days.spend(person, target, { amount: candidates, limit });
    } catch (error) {
      this.#log.error('lookups.not_counted', { target, ...errorFields(error) });
      throw error;
    }
  }
}
