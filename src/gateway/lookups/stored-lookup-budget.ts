/**
 * Lookups by person, target and day, in the gateway's index: durable when `spend` returns, so neither a
 * restart nor another session gives any back. A day is that of UTC, for everybody the same and told in
 * every refusal; a clock that is set back finds the day of before as it was left.
 */
import type { StatementSync } from 'node:sqlite';
import { type IndexStore, integer } from '../index-store.ts';
import { errorFields, type Log } from '../log.ts';
import type { LookupBudget, LookupPerson, LookupReceipt, LookupUse } from './lookup-budget.ts';

const DAY_MS = 86_400_000;
/** Past days are of no use but where somebody sets a clock back. */
const KEPT_DAYS = 32;

export interface StoredLookupBudgetOptions {
  readonly store: IndexStore;
  /** Wall clock, ms. */
  readonly clock: () => number;
  readonly log: Log;
}

export class StoredLookupBudget implements LookupBudget {
  readonly #clock: () => number;
  readonly #log: Log;
  readonly #add: StatementSync;
  readonly #used: StatementSync;
  readonly #forget: StatementSync;

  constructor({ store: { database }, clock, log }: StoredLookupBudgetOptions) {
    this.#clock = clock;
    this.#log = log;
    // One statement, so that of two that ask at once the second one sees what the first has used.
    this.#add = database.prepare(
      `INSERT INTO lookups (issuer, sub, target, day, used)
       SELECT $issuer, $sub, $target, $day, $candidates WHERE $candidates <= $limit
       ON CONFLICT (issuer, sub, target, day) DO UPDATE SET used = used + excluded.used
       WHERE used + excluded.used <= $limit`,
    );
    this.#used = database.prepare(
      'SELECT used FROM lookups WHERE issuer = ? AND sub = ? AND target = ? AND day = ?',
    );
    this.#forget = database.prepare('DELETE FROM lookups WHERE day < ?');
  }

  async spend(person: LookupPerson, target: string, use: LookupUse): Promise<LookupReceipt> {
    try {
      return this.#spend(person, target, use);
    } catch (error) {
      this.#log.error('lookups.not_counted', { target, ...errorFields(error) });
      throw error;
    }
  }

  #spend(
    { issuer, sub }: LookupPerson,
    target: string,
    { candidates, limit }: LookupUse,
  ): LookupReceipt {
    const day = Math.floor(this.#clock() / DAY_MS);
    const { changes } = this.#add.run({ issuer, sub, target, day, candidates, limit });
    const row = this.#used.get(issuer, sub, target, day);
    const used = row === undefined ? 0 : integer(row['used']);
    if (used === candidates) this.#forget.run(day - KEPT_DAYS);
    return {
      type: Number(changes) === 1 ? 'spent' : 'exhausted',
      left: Math.max(0, limit - used),
      resetsMs: (day + 1) * DAY_MS,
    };
  }
}
