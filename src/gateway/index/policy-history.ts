/** Which policy was in force here, from when on, signed by whom: in the index, for good. */
import { type IndexStore, integer, text } from './index-store.ts';

export interface PolicyPeriod {
  readonly commit: string;
  readonly signer: string;
  readonly sinceMs: number;
}

export class PolicyHistory {
  readonly #statements: ReturnType<typeof prepareAll>;
  readonly #clock: () => number;

  constructor(store: IndexStore, clock: () => number) {
    this.#statements = prepareAll(store);
    this.#clock = clock;
  }

  /** A commit is in force. The one that was already, e.g. before a restart, begins nothing new. */
  inForce({ commit, signer }: { readonly commit: string; readonly signer: string }): void {
    const newest = this.#statements.newest.get();
    if (newest === undefined || text(newest['commit_id']) !== commit) {
      this.#statements.add.run(commit, this.#clock(), signer);
    }
  }

  /** Since when this commit was in force at that time; undefined: it was not, or not known here. */
  at(commit: string, timeMs: number): PolicyPeriod | undefined {
    const row = this.#statements.at.get(commit, timeMs);
    return row && { commit, signer: text(row['signer']), sinceMs: integer(row['since_ms']) };
  }
}

function prepareAll({ database }: IndexStore) {
  return {
    newest: database.prepare('SELECT commit_id FROM policy_history ORDER BY since_ms DESC LIMIT 1'),
    add: database.prepare('INSERT INTO policy_history VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
    at: database.prepare(
      `SELECT signer, since_ms FROM policy_history WHERE commit_id = ? AND since_ms <= ?
       ORDER BY since_ms DESC LIMIT 1`,
    ),
  };
}
