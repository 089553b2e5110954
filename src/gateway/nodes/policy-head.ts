/**
 * The newest commit of the policy branch that any node has verified. It only moves forward: a node that
 * is behind it opens no sessions, and neither does one whose clone is new and is shown an older history.
 */
import { HoopError } from '../../errors.ts';
import { change, type Store, sql, text, type Work } from '../store/store.ts';
import { tellNodes } from './node-changes.ts';

export interface PolicyHeadOptions {
  readonly store: Store;
  /** Of the configuration: another branch, or repository, has a head of its own. */
  readonly repository: string;
  readonly branch: string;
  /** The commit in force here; undefined: there is none. */
  readonly current: () => string | undefined;
  /** Whether `commit` is known here, and is `ancestor` or comes after it. */
  readonly follows: (commit: string, ancestor: string) => Promise<boolean>;
  readonly clock: () => number;
}

export class PolicyHead {
  readonly #options: PolicyHeadOptions;
  readonly #branch: string;
  /** The last that was found to be the newest, or newer. */
  #confirmed: string | undefined;
  #moves = 0;

  constructor(options: PolicyHeadOptions) {
    this.#options = options;
    this.#branch = `${options.repository} ${options.branch}`;
  }

  /** Another node has moved it: what was the newest here may not be any more. */
  moved(): void {
    this.#moves += 1;
    this.#confirmed = undefined;
  }

  /**
   * Moves it forward to the commit in force here, where that follows it.
   * @returns whether no newer one is known
   */
  async isNewest(): Promise<boolean> {
    const mine = this.#options.current();
    if (mine === undefined) return false;
    if (mine === this.#confirmed) return true;
    const { store, clock, follows } = this.#options;
    for (;;) {
      const moves = this.#moves;
      const known = await store.get(FIND, { branch: this.#branch });
      const before = known === undefined ? '' : text(known['commit_id']);
      const isNewest = before === mine || before === '' || (await follows(mine, before));
      if (!isNewest) return false;
      const values = { branch: this.#branch, before, mine, nowMs: clock() };
      const isMoved = before === mine || (await store.transaction(() => move(values)));
      if (isMoved) {
        // While this was asked it may have been moved once more.
        if (moves === this.#moves) this.#confirmed = mine;
        return true;
      }
      // Another node was first: look at what it has put there.
    }
  }

  /** @throws HOOP_POLICY_BEHIND */
  async require(): Promise<void> {
    if (await this.isNewest()) return;
    throw new HoopError('HOOP_POLICY_BEHIND', 'a newer policy than this gateway’s is in force', {
      detail:
        'Another gateway with the same store, or this one earlier, has verified a commit that this one’s fetched history does not contain.',
      hint: 'The gateway fetches every few seconds: try again. If it persists, whoever runs the gateway finds `policy.behind` in its log.',
    });
  }
}

function* move(values: {
  readonly branch: string;
  readonly before: string;
  readonly mine: string;
  readonly nowMs: number;
}): Work<boolean> {
  const { before } = values;
  const moved = yield* change(before === '' ? ADD : MOVE, values);
  if (moved !== 1) return false;
  yield* tellNodes('policy');
  return true;
}

const FIND = sql('SELECT commit_id FROM policy_heads WHERE branch = $branch');
const ADD = sql(
  `INSERT INTO policy_heads (branch, commit_id, since_ms) VALUES ($branch, $mine, $nowMs)
   ON CONFLICT (branch) DO NOTHING`,
);
const MOVE = sql(
  `UPDATE policy_heads SET commit_id = $mine, since_ms = $nowMs
   WHERE branch = $branch AND commit_id = $before`,
);
