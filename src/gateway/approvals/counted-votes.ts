/** Whose word counts about a request, as people, groups and blocks are now. */
import type { BlockedAs } from '../identity/block.ts';
import { countOthers } from '../identity/same-person.ts';
import type { Work } from '../store/store.ts';
import {
  type ApprovalNeed,
  type ApprovalRecord,
  approversOf,
  isRequestedFor,
  type Vote,
} from './approval-record.ts';
import type { ApprovalStore, PersonLogin } from './approval-store.ts';

export interface CountedVotesOptions {
  readonly store: ApprovalStore;
  /** Whether the policy in force knows a login as an agent's own: that is nobody's word. */
  readonly isAgent: (someone: PersonLogin) => boolean;
  /** Whether somebody is kept out of a target: their word counts for nothing there, also that from before. */
  readonly isBlocked: (someone: BlockedAs, target: string) => boolean;
}

/** Its methods are steps of transactions. */
export class CountedVotes {
  readonly #options: CountedVotesOptions;

  constructor(options: CountedVotesOptions) {
    this.#options = options;
  }

  /**
   * Different people who could satisfy a need: all but who asked that have logged in to this
   * gateway lately and were in one of its groups then.
   */
  *known(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor'>,
    { groups }: ApprovalNeed,
  ): Work<number> {
    const { store, isAgent } = this.#options;
    const approvers = (yield* store.newestLogins())
      .filter((login) => !isAgent(login) && !isRequestedFor(record, login))
      .filter((login) => login.groups.some((group) => groups.includes(group)));
    return countOthers(record.requester, approvers);
  }

  /** How many different people have approved. */
  *approvedBy(record: ApprovalRecord, need: ApprovalNeed): Work<number> {
    const groups = new Map<Vote, readonly string[]>();
    for (const vote of record.votes) {
      groups.set(vote, yield* this.#groupsOf(vote, record.target));
    }
    return approversOf(record, need, (vote) => groups.get(vote) ?? []);
  }

  /** Whether enough have. @param needs undefined: what was asked for is not to be had any more */
  *satisfy(record: ApprovalRecord, needs: readonly ApprovalNeed[] | undefined): Work<boolean> {
    if (needs === undefined || needs.length === 0) return false;
    for (const need of needs) {
      if ((yield* this.approvedBy(record, need)) < need.count) return false;
    }
    return true;
  }

  /** Somebody who has logged in since, and is in other groups now, counts as what they are now. */
  *#groupsOf({ by, groups }: Vote, target: string): Work<readonly string[]> {
    const { store, isAgent, isBlocked } = this.#options;
    const { issuer, sub } = by;
    const latest = yield* store.latestLogin(by);
    const now = latest ?? { kind: 'person', issuer, sub, email: undefined, groups };
    return isAgent(now) || isBlocked({ ...by, email: now.email }, target) ? [] : now.groups;
  }
}
