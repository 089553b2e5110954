/**
 * What a person uses up of something on a target in a day, in the gateway's store: durable when `spend`
 * resolves, so neither a restart nor another session gives any back. A day is that of UTC, for everybody
 * the same and told in every refusal; a clock that is set back finds the day of before as it was left.
 */
import type { Principal } from '../../policy/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { change, get, integer, type Sql, type Store, sql, type Work } from '../store/store.ts';

const DAY_MS = 86_400_000;
/** Past days are of no use but where somebody sets a clock back. */
const KEPT_DAYS = 32;

/** Agents and runs of a person are that person; a workload is itself. */
export type Spender = Pick<Principal, 'issuer' | 'sub'>;

export interface DayUse {
  /** Values that a statement is about to compare with masked columns; rows that it changes. */
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

/** As whoever asks has it. */
export type Budget = Pick<DayBudget, 'spend'>;

export interface DayBudgetOptions {
  readonly store: Store;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

export class DayBudget {
  readonly #options: DayBudgetOptions;
  readonly #table: 'lookups' | 'changed_rows';
  readonly #sql: ReturnType<typeof sqlOf>;

  /** @param table of the store: values of masked columns that were looked up, rows that were changed */
  constructor(table: 'lookups' | 'changed_rows', options: DayBudgetOptions) {
    this.#options = options;
    this.#table = table;
    this.#sql = sqlOf(table);
  }

  /**
   * Asked each time that a statement runs, before it, or anything that could commit it, is sent.
   * @throws where it cannot be written down: then it must not run, or not be committed
   */
  async spend(person: Spender, target: string, use: DayUse): Promise<DayReceipt> {
    const { store, log } = this.#options;
    try {
      return await store.transaction(() => this.#spend(person, target, use));
    } catch (error) {
      log.error(`${this.#table}.not_counted`, { target, ...errorFields(error) });
      throw error;
    }
  }

  *#spend(
    { issuer, sub }: Spender,
    target: string,
    { amount, limit, isApproved = false }: DayUse,
  ): Work<DayReceipt> {
    const day = Math.floor(this.#options.clock() / DAY_MS);
    const of = { issuer, sub, target, day };
    const use = { ...of, amount, limit, isApproved: isApproved ? 1 : 0 };
    const changes = yield* change(this.#sql.add, use);
    const row = yield* get(this.#sql.used, of);
    const used = row === undefined ? 0 : integer(row['used']);
    if (used === amount) yield* change(this.#sql.forget, { before: day - KEPT_DAYS });
    return {
      type: changes === 1 ? 'spent' : 'exhausted',
      left: Math.max(0, limit - used),
      resetsMs: (day + 1) * DAY_MS,
    };
  }
}

function sqlOf(table: string): { readonly add: Sql; readonly used: Sql; readonly forget: Sql } {
  return {
    // One statement, so that of two that ask at once the second one sees what the first has used.
    add: sql(
      `INSERT INTO ${table} (issuer, sub, target, day, used)
       SELECT $issuer, $sub, $target, CAST($day AS BIGINT), CAST($amount AS BIGINT)
       WHERE CAST($isApproved AS BIGINT) = 1 OR CAST($amount AS BIGINT) <= CAST($limit AS BIGINT)
       ON CONFLICT (issuer, sub, target, day) DO UPDATE SET used = ${table}.used + excluded.used
       WHERE $isApproved = 1 OR ${table}.used + excluded.used <= $limit`,
    ),
    used: sql(
      `SELECT used FROM ${table}
       WHERE issuer = $issuer AND sub = $sub AND target = $target AND day = $day`,
    ),
    forget: sql(`DELETE FROM ${table} WHERE day < $before`),
  };
}
