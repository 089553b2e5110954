/** Which policy was in force here, from when on, signed by whom: in the store, for good. */
import type { EventSteps } from '../events/audit-events.ts';
import { change, get, integer, type Store, sql, text } from '../store/store.ts';

export interface PolicyPeriod {
  readonly commit: string;
  readonly signer: string;
  readonly sinceMs: number;
}

export class PolicyHistory {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #events: EventSteps;

  constructor(store: Store, clock: () => number, events: EventSteps) {
    this.#store = store;
    this.#clock = clock;
    this.#events = events;
  }

  /** A commit is in force. The one that was already, e.g. before a restart, begins nothing new. */
  async inForce({
    commit,
    signer,
  }: {
    readonly commit: string;
    readonly signer: string;
  }): Promise<void> {
    const sinceMs = this.#clock();
    const events = this.#events;
    await this.#store.transaction(function* () {
      const newest = yield* get(NEWEST);
      if (newest === undefined || text(newest['commit_id']) !== commit) {
        yield* change(ADD, { commit, sinceMs, signer });
        yield* events.add({ type: 'policy.in_force', commit, signer });
      }
    });
  }

  /** Since when this commit was in force at that time; undefined: it was not, or not known here. */
  async at(commit: string, timeMs: number): Promise<PolicyPeriod | undefined> {
    const row = await this.#store.get(AT, { commit, timeMs });
    return row && { commit, signer: text(row['signer']), sinceMs: integer(row['since_ms']) };
  }
}

const NEWEST = sql('SELECT commit_id FROM policy_history ORDER BY since_ms DESC LIMIT 1');
const ADD = sql(
  `INSERT INTO policy_history (commit_id, since_ms, signer) VALUES ($commit, $sinceMs, $signer)
   ON CONFLICT DO NOTHING`,
);
const AT = sql(
  `SELECT signer, since_ms FROM policy_history WHERE commit_id = $commit AND since_ms <= $timeMs
   ORDER BY since_ms DESC LIMIT 1`,
);
