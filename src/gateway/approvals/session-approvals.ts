/**
 * What is the same in all requests for approval of one live session, be they about statements or
 * about acts on a server: whose they are, what they belong to, how long they last, and that one
 * which is sent again finds the request that it was asked for with.
 */
import { createHash } from 'node:crypto';
import type { View } from '../../api/view.ts';
import type { ApprovalDemand, Principal } from '../../policy/types.ts';
import type { PromptLine } from '../../recording/formats/prompt.ts';
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

/** What must not happen before others have approved it. */
export interface HeldAsk {
  readonly demands: readonly ApprovalDemand[];
  readonly policyCommit: string;
  /** It fails at once and runs when it is asked for again, whatever the rules say about waiting. */
  readonly waits?: false;
}

/** Requests for approval of one session, about what its protocol does. */
export interface OperationApprovals<Ask extends HeldAsk, Asked = AskedApproval> {
  /**
   * Asks people. Where the rules say `wait: no`, one that was asked for before is found again.
   * @throws HoopError HOOP_LIMIT
   */
  ask(ask: Ask): Promise<Asked>;
  /** Digest of all that an approval of this is bound to. */
  bindingOf(ask: Ask): string;
  /** What whoever decides is shown when it is asked. */
  viewOf(ask: Ask): View;
}

/** Whoever asks waits for it in their connection. */
export function isHeld({ demands, waits }: Pick<HeldAsk, 'demands' | 'waits'>): boolean {
  return waits !== false && demands.every(({ terms }) => terms.waits);
}

/**
 * The run in which a held request is good, part of its binding. Programs give up what takes long and
 * send it again: the request stays when the connection has gone, and no other run of the person, nor
 * they themselves, can join it or use its approval.
 */
function keptIn(
  { run }: Pick<SessionApprovalsOptions, 'run'>,
  ask: Pick<HeldAsk, 'demands' | 'waits'>,
): readonly { readonly run: string }[] {
  return run === undefined || !isHeld(ask) ? [] : [{ run }];
}

/**
 * What an approval is bound to: who asks, for whom, in which run, and `parts`, which are all that the
 * connector knows of what makes it another operation. Not the commit: most commits say the same
 * about it, and it is decided again under the one in force when it is used.
 * @param format names the parts and their order
 */
export function requestBinding(
  options: Pick<SessionApprovalsOptions, 'principal' | 'run'>,
  ask: Pick<HeldAsk, 'demands' | 'waits'>,
  format: string,
  parts: readonly unknown[],
): string {
  const { issuer, sub, agent, requester } = options.principal;
  const who = [[issuer, sub], agent ?? null, ...(requester === undefined ? [] : [requester])];
  const bound = [format, ...who, ...parts, ...keptIn(options, ask)];
  return createHash('sha256').update(JSON.stringify(bound)).digest('hex');
}

/** Another connection of the run, or the person elsewhere, has asked for the same just now. */
class AskedMeanwhile extends Error {}

/**
 * @param create makes the request, when it was not asked for before
 * @param outgrown why one that was does not cover what is asked for now; it is void then
 */
export async function askOnce(
  options: SessionApprovalsOptions,
  ask: Pick<HeldAsk, 'demands' | 'waits'>,
  binding: string,
  create: (waits: boolean) => Promise<ApprovalRecord>,
  outgrown: (before: ApprovalRecord) => Promise<string | undefined> = async () => undefined,
): Promise<AskedApproval> {
  const { approvals, clock, principal: requester, run } = options;
  const waits = isHeld(ask);
  for (;;) {
    const before =
      waits && run === undefined
        ? undefined
        : askedBefore(await approvals.bound({ requester, binding }), clock());
    const why = before && isOpen(before) ? await outgrown(before) : undefined;
    if (before !== undefined && why === undefined) {
      return askedApproval(approvals, before, waits);
    }
    if (before) await approvals.end(before.id, 'void', why ?? 'it has changed');
    try {
      return await askedApproval(approvals, await create(waits), waits);
    } catch (error) {
      if (!(error instanceof AskedMeanwhile)) throw error;
    }
  }
}

/** @param waits it is held; outside of a run it dies with its connection */
export function sessionRequest(
  options: SessionApprovalsOptions & { readonly target: { readonly name: string } },
  ask: HeldAsk,
  binding: string,
  waits: boolean,
): Omit<NewApproval, 'kind' | 'details'> {
  const { principal, session, run, target, reason, clock } = options;
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
    checkNew(before) {
      const isShared = !waits || run !== undefined;
      if (isShared && askedBefore(before, clock()) !== undefined) throw new AskedMeanwhile();
    },
  };
}
