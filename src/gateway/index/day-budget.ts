/**
 * What a person uses up of something on a target in a day, in the gateway's index: durable when `spend`
 * returns, so neither a restart nor another session gives any back. A day is that of UTC, for everybody
 * the same and told in every refusal; a clock that is set back finds the day of before as it was left.
 */
import type { StatementSync } from 'node:sqlite';
import type { Principal } from '../../policy/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { type IndexStore, integer } from './index-store.ts';

const DAY_MS = 86_400_000;
/** Past days are of no use but where somebody sets a clock back. */
const KEPT_DAYS = 32;

/** Agents and runs of a person are that person; a workload is itself. */
export type Spender = Pick<Principal, 'issuer' | 'sub'>;

export interface DayUse {
  readonly amount: number;
  /** Of the day, by the policy in force. */
  readonly limit: number;
  /** Somebody approved it: it is used up however little is left. */
  readonly isApproved?: boolean;
}

/** `spent` is durable. `exhausted` has used nothing. */
export interface DayReceipt {
  readonly type: 'spent' | 'exhausted';
  /** Of the day, after it. */
  readonly left: number;
  /** Wall clock, ms: when the next day begins. */
  readonly resetsMs: number;
}

export interface DayBudgetOptions {
  readonly store: IndexStore;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

export class DayBudget {
  readonly #options: DayBudgetOptions;
  readonly #table: 'lookups' | 'changed_rows';
  readonly #add: StatementSync;
  readonly #used: StatementSync;
  readonly #forget: StatementSync;

  /** @param table of the index, where it is written down. */
  constructor(table: 'lookups' | 'changed_rows', options: DayBudgetOptions) {
    const { database } = options.store;
    this.#options = options;
    this.#table = table;
    // One statement, so that of two that ask at once the second one sees what the first has used.
    this.#add = database.prepare(
      `INSERT INTO ${table} (issuer, sub, target, day, used)
       SELECT $issuer, $sub, $target, $day, $amount WHERE $isApproved OR $amount <= $limit
       ON CONFLICT (issuer, sub, target, day) DO UPDATE SET used = used + excluded.used
       WHERE $isApproved OR used + excluded.used <= $limit`,
    );
    this.#used = database.prepare(
      `SELECT used FROM ${table} WHERE issuer = ? AND sub = ? AND target = ? AND day = ?`,
    );
    this.#forget = database.prepare(`DELETE FROM ${table} WHERE day < ?`);
  }

  /** @throws where it cannot be written down, which is logged. */
  spend(person: Spender, target: string, use: DayUse): DayReceipt {
    try {
      return this.#spend(person, target, use);
    } catch (error) {
      this.#options.log.error(`${this.#table}.not_counted`, { target, ...errorFields(error) });
      throw error;
    }
  }

  #spend(
    { issuer, sub }: Spender,
    target: string,
    { amount, limit, isApproved = false }: DayUse,
  ): DayReceipt {
    const day = Math.floor(this.#options.clock() / DAY_MS);
    const of = { issuer, sub, target, day };
    const { changes } = this.#add.run({ ...of, amount, limit, isApproved: isApproved ? 1 : 0 });
    const row = this.#used.get(issuer, sub, target, day);
    const used = row === undefined ? 0 : integer(row['used']);
    if (used === amount) this.#forget.run(day - KEPT_DAYS);
    return {
      type: Number(changes) === 1 ? 'spent' : 'exhausted',
      left: Math.max(0, limit - used),
      resetsMs: (day + 1) * DAY_MS,
    };
  }
}
