import { eventParty } from '../events/event-party.ts';
import type { ApprovalRecord } from './approval-record.ts';

/** What events say of a request. What was asked for is sealed, and its reason somebody's own words. */
export function requestFacts(record: ApprovalRecord) {
  const { id, kind, requester, agent, requestedFor, target, session, run, policyCommit } = record;
  const who = eventParty({
    ...requester,
    ...(agent === undefined ? {} : { agent }),
    ...(requestedFor === undefined ? {} : { requester: requestedFor }),
  });
  return { who, target, session, run, request: id, commit: policyCommit, kind };
}
