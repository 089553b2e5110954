/** A session as it begins: its row, and the event that tells so. */
import type { Principal } from '../../policy/types.ts';
import type { EventSteps } from '../events/audit-events.ts';
import { eventLogin, eventParty } from '../events/event-party.ts';
import type { NodeOwner } from '../nodes/node-owner.ts';
import { change, nullable, sql, storable, type Work } from '../store/store.ts';

export interface NewSession {
  readonly id: string;
  readonly target: string;
  readonly kind: string;
  readonly principal: Principal;
  readonly family: string;
  readonly run: string | undefined;
  /** The run that that one was started in. */
  readonly parentRun: string | undefined;
  /** Name of the run's program. */
  readonly program: string | undefined;
  readonly reason: string | undefined;
  readonly policyCommit: string;
  readonly recording: string;
  readonly clientVersion: string;
  readonly startedMs: number;
  readonly expiresMs: number;
  /** Address that it was asked for from. */
  readonly from?: string | undefined;
}

/** @param owner the node whose it is */
export function* beginSession(
  session: NewSession,
  owner: NodeOwner,
  events: EventSteps,
): Work<void> {
  const { principal } = session;
  const values = {
    id: session.id,
    target: session.target,
    kind: session.kind,
    principalKind: principal.kind,
    issuer: principal.issuer,
    sub: principal.sub,
    name: storable(principal.name),
    subject: nullable(principal.subject),
    verifiedEmail: nullable(principal.verifiedEmail),
    family: session.family,
    reason: nullable(storable(session.reason)),
    agent: nullable(principal.agent),
    agentItself: principal.isAgent === true ? 1 : 0,
    requester: nullable(principal.requester),
    run: nullable(session.run),
    parentRun: nullable(session.parentRun),
    program: nullable(storable(session.program)),
    policyCommit: session.policyCommit,
    recording: session.recording,
    clientVersion: storable(session.clientVersion),
    startedMs: session.startedMs,
    expiresMs: session.expiresMs,
    node: owner.id,
    term: owner.term,
  };
  yield* change(START, values);
  yield* events.add({
    type: 'session.begin',
    who: eventParty(principal),
    from: session.from,
    target: session.target,
    session: session.id,
    run: session.run,
    commit: session.policyCommit,
    login: eventLogin(session.family),
    kind: session.kind,
    recording: session.recording,
    expires: new Date(session.expiresMs).toISOString(),
  });
}

const START = sql(
  `INSERT INTO sessions (id, state, target, kind, principal_kind, issuer, sub, name, subject,
     verified_email, family, reason, agent, agent_itself, requester, run, parent_run, program,
     policy_commit, recording, client_version, started_ms, expires_ms, node, term)
   VALUES ($id, 'live', $target, $kind, $principalKind, $issuer, $sub, $name, $subject,
     $verifiedEmail, $family, $reason, $agent, $agentItself, $requester, $run, $parentRun, $program,
     $policyCommit, $recording, $clientVersion, $startedMs, $expiresMs, $node, $term)`,
);
