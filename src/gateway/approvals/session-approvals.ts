/**
 * What is the same in all requests for approval of one live session, be they about statements or
 * about acts on a server: whose they are, what they belong to, how long they last, and that one
 * which is sent again finds the request that it was asked for with.
 */
import type { ApprovalDemand, Principal } from '../../policy/types.ts';
import type { PromptLine } from '../../recording/prompt.ts';
import { type ApprovalRecord, isOpen, type NewApproval } from './approval-record.ts';
import { needsOf } from './approval-refusal.ts';
import type { Approvals } from './approvals.ts';
import {
  type AskedApproval,
  askedApproval,
  askedBefore,
  HELD_USABLE_SECONDS,
} from './asked-approval.ts';
import type { PolicyView } from './policy-standing.ts';

export interface SessionApprovalsOptions {
  readonly approvals: Approvals;
  readonly session: string;
  /** The run that the session is of. */
  readonly run: string | undefined;
  readonly principal: Principal;
  /** Reason of the session. */
  readonly reason: string | undefined;
  /** The prompt in force. */
  readonly prompt: () => PromptLine | undefined;
  readonly policy: PolicyView;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

interface Ask {
  readonly demands: readonly ApprovalDemand[];
  readonly policyCommit: string;
  readonly waits?: false;
}

/** Whoever asks waits for it in their connection. */
export function isHeld({ demands, waits }: Pick<Ask, 'demands' | 'waits'>): boolean {
  return waits !== false && demands.every(({ terms }) => terms.waits);
}

/**
 * The run in which a held request is good, part of its binding. Programs give up what takes long and
 * send it again: the request stays when the connection has gone, and no other run of the person, nor
 * they themselves, can join it or use its approval.
 */
export function keptIn(
  { run }: Pick<SessionApprovalsOptions, 'run'>,
  ask: Pick<Ask, 'demands' | 'waits'>,
): readonly { readonly run: string }[] {
  return run === undefined || !isHeld(ask) ? [] : [{ run }];
}

/** How an engine asks: what is sent again finds the request that it was asked for with. */
export function sessionApprovals<Asked extends Ask>(
  options: SessionApprovalsOptions,
  bindingOf: (ask: Asked) => string,
  create: (ask: Asked, binding: string, waits: boolean) => ApprovalRecord,
): { bindingOf: (ask: Asked) => string; ask: (ask: Asked) => AskedApproval } {
  return {
    bindingOf,
    ask(ask) {
      const binding = bindingOf(ask);
      return askOnce(options, ask, binding, (waits) => create(ask, binding, waits));
    },
  };
}

/**
 * @param create makes the request, when it was not asked for before
 * @param outgrown why one that was does not cover what is asked for now; it is void then
 */
export function askOnce(
  { approvals, clock, principal: requester, run }: SessionApprovalsOptions,
  ask: Pick<Ask, 'demands' | 'waits'>,
  binding: string,
  create: (waits: boolean) => ApprovalRecord,
  outgrown: (before: ApprovalRecord) => string | undefined = () => undefined,
): AskedApproval {
  const waits = isHeld(ask);
  const before =
    waits && run === undefined ? undefined : askedBefore({ approvals, clock, requester, binding });
  const why = before && isOpen(before) ? outgrown(before) : undefined;
  if (before !== undefined && why === undefined) {
    return askedApproval(approvals, before, waits);
  }
  if (before) approvals.end(before.id, 'void', why ?? 'it has changed');
  return askedApproval(approvals, create(waits), waits);
}

/** @param waits it is held; outside of a run it dies with its connection */
export function sessionRequest(
  options: SessionApprovalsOptions & { readonly target: { readonly name: string } },
  ask: Ask,
  binding: string,
  waits: boolean,
): Omit<NewApproval, 'kind' | 'details'> {
  const { principal, session, run, target, reason } = options;
  const timeoutSeconds = Math.min(...ask.demands.map(({ terms }) => terms.timeoutSeconds));
  return {
    requester: principal,
    agent: principal.isAgent === true ? undefined : principal.agent,
    requestedFor: principal.requester,
    target: target.name,
    reason,
    session,
    run,
    diesWithConnection: waits && run === undefined,
    needs: needsOf(ask.demands),
    waitsSeconds: timeoutSeconds,
    usableSeconds: waits && run === undefined ? HELD_USABLE_SECONDS : timeoutSeconds,
    policyCommit: ask.policyCommit,
    binding,
  };
}
