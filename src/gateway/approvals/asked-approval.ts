/** A request for approval as the engine of a stream sees it: what it waits for, and how it stands. */
import type { RowChanges } from '../../policy/sql/types.ts';
import { isCut, type PromptLine } from '../../recording/prompt.ts';
import {
  type ApprovalPrompt,
  type ApprovalState,
  MAX_APPROVAL_PROMPT,
} from '../../tunnel/approvals-api.ts';
import { type ApprovalRecord, isOpen, type Party } from './approval-record.ts';
import type { Approvals } from './approvals.ts';

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
  /** What it covers; absent: it was not asked for because of a number of rows. See `isCovered`. */
  readonly changes?: RowChanges;
  /** Needs for which too few people but who asks are known to the gateway. */
  readonly lacking: readonly { readonly groups: readonly string[]; readonly known: number }[];
  /** Resolves when it is no longer waiting. */
  readonly decided: Promise<ApprovalStanding>;
  /** Resolves at the next commit that may decide otherwise about it. */
  policyChanged(): Promise<void>;
  /** Uses it up. @returns undefined: it cannot be used (any more). */
  use(): ApprovalStanding | undefined;
  /** Without effect once it has ended. */
  end(state: 'withdrawn' | 'void', outcome: string): void;
}

export function askedApproval(
  approvals: Approvals,
  record: ApprovalRecord,
  changes?: RowChanges,
): AskedApproval {
  const { promise, resolve } = Promise.withResolvers<ApprovalStanding>();
  let changed = Promise.withResolvers<void>();
  if (record.diesWithConnection) {
    approvals.onPolicyChanged(record.id, () => {
      changed.resolve();
      changed = Promise.withResolvers();
    });
    const stop = approvals.listen(record.id, (now) => {
      if (now.state !== 'waiting') {
        stop();
        resolve(now);
      }
    });
  }
  return {
    id: record.id,
    binding: record.binding,
    standing: record,
    waitsUntilMs: record.waitsUntilMs,
    waits: record.diesWithConnection,
    ...(changes === undefined ? {} : { changes }),
    lacking: record.needs
      .map((need) => ({ ...need, known: approvals.known(record, need) }))
      .filter(({ known, count }) => known < count),
    decided: promise,
    policyChanged: () => changed.promise,
    use: () => approvals.use(record.id),
    end: (state, outcome) => approvals.end(record.id, state, outcome),
  };
}

/** With `wait: no`: what was asked for before, and still stands. */
export function askedBefore({
  approvals,
  clock,
  requester,
  binding,
}: {
  readonly approvals: Approvals;
  readonly clock: () => number;
  readonly requester: Party;
  readonly binding: string;
}): ApprovalRecord | undefined {
  const [last] = approvals.bound({ requester, binding });
  if (last === undefined || last.diesWithConnection) return undefined;
  const nowMs = clock();
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
