/** A request that waits for a person, as the gateway keeps it. */

import type { ApprovalKind, ApprovalState } from '../../api/approvals.ts';
import type { Principal } from '../../policy/types.ts';
import type { PersonMarks } from '../identity/same-person.ts';

/** Somebody by what tells them from others; `name` is for people and untrusted. */
export interface Party extends PersonMarks {
  readonly name: string;
}

/** One condition; a request needs all of its conditions. */
export interface ApprovalNeed {
  /** `<policy>/<rule>`. */
  readonly rule: string;
  readonly groups: readonly string[];
  readonly count: number;
}

export interface Vote {
  readonly by: Party;
  readonly decision: 'approve' | 'deny';
  readonly reason: string | undefined;
  readonly atMs: number;
  /** Of the voter when they voted; what counts at release is what they are in by then. */
  readonly groups: readonly string[];
}

export interface NewApproval {
  readonly kind: ApprovalKind;
  readonly requester: Party;
  readonly agent?: string | undefined;
  /** `Principal.requester` of the requester. */
  readonly requestedFor?: string | undefined;
  readonly target: string;
  readonly reason: string | undefined;
  /** Session that asks. With `diesWithConnection` the request does not outlive a restart. */
  readonly session: string | undefined;
  /** Run that the session is of. */
  readonly run?: string | undefined;
  readonly diesWithConnection: boolean;
  readonly needs: readonly ApprovalNeed[];
  readonly waitsSeconds: number;
  /** How long an approval that is used later can be used. */
  readonly usableSeconds: number;
  readonly policyCommit: string;
  /** Digest of all that the approval is bound to, hex. */
  readonly binding: string;
  /** JSON for whoever decides; sealed at rest, and gone when the request is forgotten. */
  readonly details: unknown;
  /**
   * Throws where the same was asked for before: decided with the request, so that of two who ask at
   * once one is the first.
   * @param before of this person, with this binding, newest first
   */
  readonly checkNew?: (before: readonly ApprovalRecord[]) => void;
}

export interface ApprovalRecord extends Omit<NewApproval, 'waitsSeconds' | 'details' | 'checkNew'> {
  readonly id: string;
  /** Id of the node at which it was made: whoever waits for it waits there. */
  readonly node: string;
  readonly state: ApprovalState;
  readonly createdMs: number;
  readonly waitsUntilMs: number;
  readonly usableUntilMs: number | undefined;
  readonly endedMs: number | undefined;
  readonly outcome: string | undefined;
  readonly votes: readonly Vote[];
}

/** Whether both are one account. For what decides about votes it takes `isSamePerson`. */
export function isSameParty(
  a: Pick<Party, 'issuer' | 'sub'>,
  b: Pick<Party, 'issuer' | 'sub'>,
): boolean {
  return a.issuer === b.issuer && a.sub === b.sub;
}

/**
 * Whether somebody speaks for themselves: not an agent, nor a login that somebody else may have got
 * by sending a code.
 */
export function isOwnWord({ agent, viaDevice }: Pick<Principal, 'agent' | 'viaDevice'>): boolean {
  return agent === undefined && viaDevice !== true;
}

/**
 * Whether somebody is whom the requester works for, as its issuer says. Without regard to case, and
 * whoever has the address: a claim may take the right to decide, it never gives one.
 */
export function isRequestedFor(
  { requestedFor }: Pick<ApprovalRecord, 'requestedFor'>,
  { sub, name, email }: Pick<Principal, 'sub' | 'email'> & Partial<Pick<Principal, 'name'>>,
): boolean {
  const whom = requestedFor?.toLowerCase();
  return whom !== undefined && [sub, name, email].some((one) => one?.toLowerCase() === whom);
}

export function isOpen({ state }: Pick<ApprovalRecord, 'state'>): boolean {
  return state === 'waiting' || state === 'approved';
}
