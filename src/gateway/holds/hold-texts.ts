/**
 * What whoever asked for something is told about its approval. What it is, and how it is asked for
 * again, the connector says; the rest is the same for statements and for acts on a server.
 */

import type { Refusal } from '../../policy/types.ts';
import {
  approvalRefusal,
  denialText,
  lackingText,
  rulesOf,
} from '../approvals/approval-refusal.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';
import type { HeldAsk } from '../approvals/session-approvals.ts';
import { utcTime } from '../base/utc-time.ts';

/** How one protocol speaks of what it holds. */
export interface HoldManner {
  /** "did not run" */
  readonly didNot: string;
  /** "send it again" */
  readonly again: string;
  /** "Send it again to ask anew." */
  readonly anew: string;
  /** "Send it again, with the same parameters," */
  readonly verySame: string;
  /** "it ran on another connection of this run, which sent the same" */
  readonly elsewhere: string;
  /** "another connection": where somebody else may have used it up. */
  readonly otherPlace: string;
  /** A sentence: how whoever waits withdraws it. */
  readonly withdraws: string;
  /** A sentence: what happens to a request of a run when it is asked for once more. */
  readonly keeps: string;
}

/** Of any operation on any connection. */
export const HOLD_MANNER: HoldManner = {
  didNot: 'did not happen',
  again: 'request it again',
  anew: 'Request it again.',
  verySame: 'Request exactly the same again',
  elsewhere: 'it happened on another connection of this run that requested the same',
  otherPlace: 'another connection',
  withdraws: 'Disconnecting withdraws it.',
  keeps: 'Repeat it exactly in this run: it joins this request, and happens once when approved.',
};

export interface HoldWords {
  readonly manner: HoldManner;
  /** E.g. `DELETE on public.orders`. */
  readonly what: string;
  /** Behind it in the record, where nobody can look the request up any more. */
  readonly extent?: string;
  /** A sentence before the one about the rules. */
  readonly effect?: string;
  /** In place of "Nobody decided about request …", and what to do then. */
  readonly expired?: ((id: string) => Pick<HeldText, 'detail' | 'hint'>) | undefined;
}

/** For who waits. */
export interface HeldText {
  readonly message: string;
  readonly detail: string;
  readonly hint: string;
}

export function heldText(ask: HeldAsk, words: HoldWords, asked: AskedApproval): HeldText {
  const { manner, what, extent = '', effect } = words;
  const rules = `${rulesOf(ask)} ${lackingText(asked)}It waits until ${utcTime(asked.waitsUntilMs)}.`;
  return {
    message: `${what}${extent} is held for approval, request ${asked.id}`,
    detail: joined(effect, rules),
    hint: `An approver decides: hoop approvals approve ${asked.id}. ${asked.isKept ? manner.keeps : manner.withdraws}`,
  };
}

export function pending(ask: HeldAsk, words: HoldWords, asked: AskedApproval): Refusal {
  const { id } = asked;
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_PENDING',
    message: `${words.what} needs approval, request ${id} is waiting`,
    detail: joined(words.effect, `${rulesOf(ask)} ${lackingText(asked)}`.trimEnd()),
    hint: `${words.manner.verySame} once \`hoop approvals show ${id}\` says approved; it runs once.`,
  });
}

export function notApproved(
  ask: HeldAsk,
  words: HoldWords,
  { id }: AskedApproval,
  standing: ApprovalStanding,
): Refusal {
  const { what, manner } = words;
  const expired = words.expired?.(id);
  switch (standing.state) {
    case 'denied':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_DENIED',
        message: `${what} was not approved`,
        detail: denialText(id, standing),
        hint: `Talk to them before you ${manner.again}.`,
      });
    case 'expired':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_EXPIRED',
        message: `${what} was not approved in time`,
        detail: `${expired?.detail ?? `Nobody decided about request ${id}.`} ${rulesOf(ask)}`,
        hint: expired?.hint ?? `Tell an approver, then ${manner.again}.`,
      });
    case 'used':
      return usedElsewhere(ask, words, id);
    default:
      return changed(ask, words, id, standing.outcome ?? `it is ${standing.state}`);
  }
}

/** The same was asked for twice in a run, and one of them has happened. */
export function usedElsewhere(ask: HeldAsk, words: HoldWords, id: string): Refusal {
  const { elsewhere, again } = words.manner;
  const once = `${again.charAt(0).toUpperCase()}${again.slice(1)}`;
  return {
    ...changed(ask, words, id, elsewhere),
    hint: `Check what it did. ${once} only if it is to happen twice; that needs another approval.`,
  };
}

export function changed(ask: HeldAsk, words: HoldWords, id: string, why: string): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_VOID',
    message: `${words.what} ${words.manner.didNot}: the approval is void`,
    detail: `Request ${id}: ${why}.`,
    hint: words.manner.anew,
  });
}

/** What no approver can be expected to read. */
export function tooLarge(
  ask: HeldAsk,
  text: { readonly message: string; readonly detail?: string; readonly hint: string },
): Refusal {
  return approvalRefusal(ask, {
    ...text,
    code: 'HOOP_TOO_LARGE',
    detail: joined(text.detail, rulesOf(ask)),
  });
}

export function tooMany(
  ask: HeldAsk,
  words: HoldWords,
  error: { readonly message: string; readonly detail?: string | undefined },
): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_LIMIT',
    message: `${words.what} needs approval, and ${error.message}`,
    detail: error.detail,
    hint: 'Wait for decisions, or withdraw requests that you no longer need.',
  });
}

/** The store does not answer: nobody can be asked, or told to decide. */
export function notAsked(
  ask: HeldAsk,
  words: HoldWords,
  error: { readonly message: string; readonly detail?: string | undefined },
): Refusal {
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_UNAVAILABLE',
    message: `${words.what} needs approval, and ${error.message}`,
    detail: error.detail,
    hint: `Tell whoever runs the gateway, then ${words.manner.again}.`,
  });
}

function joined(...sentences: readonly (string | undefined)[]): string {
  return sentences.filter((sentence) => sentence !== undefined).join(' ');
}
