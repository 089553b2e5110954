/** A request for approval as the engine of a stream sees it: what it waits for, and how it stands. */

import {
  type ApprovalPrompt,
  type ApprovalState,
  MAX_APPROVAL_PROMPT,
} from '../../api/approvals.ts';
import { isCut, type PromptLine } from '../../recording/formats/prompt.ts';
import { type ApprovalRecord, isOpen } from './approval-record.ts';
import type { Approvals } from './approvals.ts';
import type { FilledNeeds } from './fill-needs.ts';

/** What is held is used the moment that it is approved; this is for the way there. Seconds. */
export const HELD_USABLE_SECONDS = 60;

/** How a request stands. */
export interface ApprovalStanding {
  readonly state: ApprovalState;
  readonly outcome: string | undefined;
  readonly votes: readonly {
    readonly by: { readonly issuer: string; readonly sub: string; readonly name: string };
    readonly decision: 'approve' | 'deny';
    readonly reason: string | undefined;
    readonly atMs: number;
  }[];
}

export interface AskedApproval {
  readonly id: string;
  readonly binding: string;
  /** When it was asked: `waiting`, or of one that was asked for before also approved or denied. */
  readonly standing: ApprovalStanding;
  readonly waitsUntilMs: number;
  /** false: what was asked for has failed, and is to be sent again. */
  readonly waits: boolean;
  /** It outlives who waits for it: the same, sent again in its run, goes on with it. */
  readonly isKept: boolean;
  /** Groups in which too few people but who asks are known to the gateway, for all needs together. */
  readonly lacking: FilledNeeds['lacking'];
  /** Resolves when it is no longer waiting. */
  readonly decided: Promise<ApprovalStanding>;
  /** Resolves at the next commit that may decide otherwise about it. */
  policyChanged(): Promise<void>;
  /**
   * Uses it up, for good: what it is used for has to be looked at again afterwards.
   * @returns undefined: it cannot be used (any more).
   */
  use(): Promise<ApprovalStanding | undefined>;
  /** Somebody has used it up, in another connection perhaps. */
  isUsed(): Promise<boolean>;
  /** Without effect once it has ended. */
  end(state: 'withdrawn' | 'void', outcome: string): Promise<void>;
  /** Whoever waits has gone: it is withdrawn, or kept. Does not throw; what failed is in the log. */
  leave(outcome: string): Promise<void>;
}

/** @param waits whoever asks waits for it in their connection */
export async function askedApproval(
  approvals: Approvals,
  record: ApprovalRecord,
  waits: boolean,
): Promise<AskedApproval> {
  const lacking = await approvals.lacking(record);
  const { promise, resolve } = Promise.withResolvers<ApprovalStanding>();
  let changed = Promise.withResolvers<void>();
  const stop =
    waits && record.state === 'waiting'
      ? approvals.wait(record.id, {
          decided: resolve,
          policyChanged() {
            changed.resolve();
            changed = Promise.withResolvers();
          },
        })
      : () => undefined;
  // Somebody may have decided before anybody waited here.
  const now = waits && record.state === 'waiting' ? await approvals.find(record.id) : undefined;
  if (now !== undefined && now.state !== 'waiting') resolve(now);
  return {
    id: record.id,
    binding: record.binding,
    standing: record,
    waitsUntilMs: record.waitsUntilMs,
    waits,
    isKept: waits && !record.diesWithConnection,
    lacking,
    decided: promise,
    policyChanged: () => changed.promise,
    use: () => approvals.use(record.id),
    isUsed: () => approvals.isUsed(record.id),
    end: (state, outcome) => approvals.end(record.id, state, outcome),
    async leave(outcome) {
      await approvals.leave(record, outcome);
      stop();
    },
  };
}

/**
 * With `wait: no`, and in a run: what was asked for before, and still stands.
 * @param bound newest first
 */
export function askedBefore(
  [last]: readonly ApprovalRecord[],
  nowMs: number,
): ApprovalRecord | undefined {
  if (last === undefined || last.diesWithConnection) return undefined;
  // Whoever was told no is not asked again for as long as the first request would have waited.
  const isDenied = last.state === 'denied' && nowMs < last.waitsUntilMs;
  const isCurrent = last.state === 'waiting' ? nowMs < last.waitsUntilMs : true;
  return (isOpen(last) && isCurrent) || isDenied ? last : undefined;
}

/** Not bound to: people say it anew, in other words, when they send a statement again. */
export function shownPrompt(prompt: PromptLine): ApprovalPrompt {
  const { id, source } = prompt;
  const text = prompt.text.slice(0, MAX_APPROVAL_PROMPT).toWellFormed();
  return { id, source, text, shortened: text.length < prompt.text.length || isCut(prompt) };
}
