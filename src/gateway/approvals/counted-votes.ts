/** Whose word counts about a request, as people, groups and blocks are now. */
import type { BlockedAs } from '../identity/block.ts';
import { otherPeople, type PersonMarks } from '../identity/same-person.ts';
import type { Work } from '../store/store.ts';
import {
  type ApprovalNeed,
  type ApprovalRecord,
  isRequestedFor,
  type Vote,
} from './approval-record.ts';
import type { ApprovalStore, PersonLogin } from './approval-store.ts';
import { type FilledNeeds, fillNeeds } from './fill-needs.ts';

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
    const people = yield* this.#knownPeople(record);
    return people.filter((own) => own.some((group) => groups.includes(group))).length;
  }

  /** Groups in which this gateway knows too few people for all of the needs together. */
  *lacking(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor' | 'needs'>,
  ): Work<FilledNeeds['lacking']> {
    return fillNeeds(record.needs, yield* this.#knownPeople(record)).lacking;
  }

  /** How many different people have approved for each need, in the order of the needs. */
  *approvedBy(record: ApprovalRecord, needs: readonly ApprovalNeed[]): Work<number[]> {
    const approving: (PersonMarks & { readonly groups: readonly string[] })[] = [];
    for (const vote of record.votes.filter(({ decision }) => decision === 'approve')) {
      approving.push({ ...vote.by, groups: yield* this.#groupsOf(vote, record.target) });
    }
    const { filledBy } = fillNeeds(needs, groupsOfOthers(record, approving));
    return needs.map(filledBy);
  }

  /** Whether enough have. @param needs undefined: what was asked for is not to be had any more */
  *satisfy(record: ApprovalRecord, needs: readonly ApprovalNeed[] | undefined): Work<boolean> {
    if (needs === undefined || needs.length === 0) return false;
    const approved = yield* this.approvedBy(record, needs);
    return needs.every(({ count }, index) => (approved[index] ?? 0) >= count);
  }

  *#knownPeople(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor'>,
  ): Work<readonly (readonly string[])[]> {
    const { store, isAgent } = this.#options;
    const able = (yield* store.newestLogins()).filter(
      (login) => !isAgent(login) && !isRequestedFor(record, login),
    );
    return groupsOfOthers(record, able);
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

/** The groups of each person but who asked, with those of all their logins. */
function groupsOfOthers(
  { requester }: Pick<ApprovalRecord, 'requester'>,
  logins: readonly (PersonMarks & { readonly groups: readonly string[] })[],
): readonly (readonly string[])[] {
  return otherPeople(requester, logins).map((own) => own.flatMap(({ groups }) => groups));
}
