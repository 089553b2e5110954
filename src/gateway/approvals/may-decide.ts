/** Whose word counts about a request: a second person's, of one of its groups, once. */
import { HoopError } from '../../errors.ts';
import { needDifferentPeople } from '../../policy/joint-needs.ts';
import type { Principal } from '../../policy/types.ts';
import { isSamePerson } from '../identity/same-person.ts';
import { type ApprovalRecord, isOwnWord, isRequestedFor } from './approval-record.ts';

export function isApprover(who: Principal, record: ApprovalRecord): boolean {
  if (!isOwnWord(who)) return false;
  return record.needs.some(({ groups }) => groups.some((group) => who.groups.includes(group)));
}

export function mayDecide(who: Principal, record: ApprovalRecord): boolean {
  return (
    record.state === 'waiting' &&
    who.kind === 'person' &&
    !isSamePerson(who, record.requester) &&
    !isRequestedFor(record, who) &&
    isApprover(who, record) &&
    !record.votes.some(({ by, decision }) => decision === 'approve' && isSamePerson(by, who))
  );
}

/** @throws HoopError HOOP_APPROVAL_…, HOOP_ACCESS_DENIED: why this word is not taken */
export function checkVoter(
  who: Principal,
  record: ApprovalRecord,
  said: { readonly decision: string; readonly binding?: string | undefined },
): void {
  if (isSamePerson(who, record.requester) || isRequestedFor(record, who)) {
    throw new HoopError('HOOP_APPROVAL_SELF', 'you cannot decide on your own request', {
      detail:
        'An approval must come from a second person. Logins that share a subject, key or verified e-mail address count as one person.',
      hint: 'Ask another approver.',
    });
  }
  if (who.kind !== 'person' || !isApprover(who, record)) {
    throw new HoopError('HOOP_ACCESS_DENIED', 'you may not decide on this request', {
      detail: whyNotApprover(who),
      ...(who.viaDevice ? { hint: 'Log in with a browser: `hoop login` without --device.' } : {}),
    });
  }
  if (record.state !== 'waiting') throw alreadyEnded(record);
  if (said.binding !== undefined && said.binding !== record.binding) {
    throw new HoopError('HOOP_APPROVAL_ENDED', 'the request is not the one that you were shown');
  }
  const voted = record.votes.some(({ by }) => isSamePerson(by, who));
  if (voted && said.decision === 'approve') {
    throw new HoopError('HOOP_APPROVAL_VOTED', 'you have already approved this request', {
      ...(needDifferentPeople(record.needs)
        ? {
            detail:
              'Its rules name different groups, so different people must approve. Your approval counts for one group.',
          }
        : {}),
      hint: 'Another approver must approve it as well.',
    });
  }
}

export function alreadyEnded({ state, outcome }: ApprovalRecord): HoopError {
  return new HoopError('HOOP_APPROVAL_ENDED', 'the request is no longer waiting', {
    detail: `It is ${state}${outcome === undefined ? '' : `: ${outcome}`}.`,
  });
}

function whyNotApprover(who: Principal): string {
  if (who.kind !== 'person') {
    return 'Only a person can approve, and this is a workload.';
  }
  if (who.agent !== undefined) {
    return `Only a person can approve, and this is agent ${who.agent}.`;
  }
  return who.viaDevice
    ? 'A login with a device code cannot decide on requests, whoever you are.'
    : 'None of your groups may approve it.';
}
