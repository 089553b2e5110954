/** That somebody was given no session, as events tell it. */
import type { SessionRequest } from '../../api/sessions.ts';
import type { ErrorCode } from '../../errors.ts';
import type { AuditEvents } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import type { Authenticated } from '../identity/identity.ts';

export interface RefusedSession {
  readonly who: Pick<Authenticated, 'principal' | 'from'> & { readonly run?: { id: string } };
  readonly request: Pick<SessionRequest, 'target'>;
  readonly code: ErrorCode;
  /** What is no target may be anything that somebody has typed. */
  readonly isTarget: boolean;
}

/** A person shares one limit with all their runs and agents, but each of these is counted apart. */
export function tellRefusedSession(
  events: Pick<AuditEvents, 'tellLimited'>,
  { who: { principal, from, run }, request: { target }, code, isTarget }: RefusedSession,
): void {
  const scope = JSON.stringify(['session', principal.issuer, principal.sub]);
  const who = eventParty(principal);
  const kind = JSON.stringify([code, target, run?.id, from, who.agent, who.agentItself]);
  events.tellLimited(scope, kind, {
    ...{ type: 'session.refused', who, code, from, run: run?.id },
    target: isTarget ? target : undefined,
  });
}
