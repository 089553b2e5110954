/** What whoever sent a statement is told about its approval. */

import {
  denialText,
  lackingText,
  approvalRefusal as refusalOf,
  rulesOf,
} from '../../../gateway/approvals/approval-refusal.ts';
import type { ApprovalStanding, AskedApproval } from '../../../gateway/approvals/asked-approval.ts';
import { utcTime } from '../../../gateway/base/utc-time.ts';
import { rowCountText } from '../../../policy/describe-grant.ts';
import { describeChanges } from '../policy/decide-rows.ts';
import { describeStatement } from '../policy/evaluate-access.ts';
import { DENIED } from '../policy/evaluate-refusal.ts';
import type { SqlRefusal } from '../policy/types.ts';
import { encodeNoticeResponse } from '../protocol/notice-response.ts';
import { reportFields } from '../protocol/report-fields.ts';
import { BYTES, type TextCodec } from '../protocol/text-codec.ts';
import type { ApprovalAsk } from './types.ts';
import { withRest } from './whole-message.ts';

/** E.g. `DELETE on public.orders`; of several statements the first that needs approval. */
function whatNeedsApproval(ask: ApprovalAsk): string {
  const [analysis] = ask.analyses;
  return analysis === undefined ? 'the statement' : describeStatement(analysis);
}

/** A sentence with a space behind it, where the rules ask because of the number of rows. */
function changesText({ changes }: ApprovalAsk): string {
  return changes === undefined ? '' : `${describeChanges(changes)} `;
}

/** It stands in the record, where nobody can look the request up any more. */
function numberOf({ changes }: ApprovalAsk): string {
  if (changes === undefined) return '';
  return changes.counted === 'trial' ? ` (${rowCountText(changes.rows)})` : ' (rows not counted)';
}

export function heldMessage(ask: ApprovalAsk, { id }: AskedApproval): string {
  return `${whatNeedsApproval(ask)}${numberOf(ask)} is held for approval, request ${id}`;
}

/** SQLSTATE 01000 is a warning without a class of its own; NOTICE is shown, and fails nothing. */
export function heldNotice(ask: ApprovalAsk, asked: AskedApproval, codec: TextCodec): Uint8Array {
  const text = (value: string): string => value.toWellFormed().replaceAll('\0', '');
  const hint = `An approver decides: hoop approvals approve ${asked.id}. ${asked.isKept ? 'Sent again in this run, the very same statement waits on, and runs once when it is approved.' : 'A cancel withdraws it.'}`;
  const fields = reportFields({
    severity: 'NOTICE',
    sqlState: '00000',
    message: text(
      asked.isKept
        ? withRest(heldMessage(ask, asked), [
            ask.demands[0] && `rule ${ask.demands[0].rule.id}`,
            hint,
          ])
        : heldMessage(ask, asked),
    ),
    detail: text(
      `${changesText(ask)}${rulesOf(ask)} ${lackingText(asked)}It waits until ${utcTime(asked.waitsUntilMs)}.`,
    ),
    hint,
  });
  const all = new Map(fields).set('F', 'hoop').set('R', 'HOOP_APPROVAL_PENDING');
  try {
    return encodeNoticeResponse({ fields: all }, codec);
  } catch {
    // A name that does not exist in client_encoding; the notice must still go out.
    const plain = new Map([...all].map(([key, value]) => [key, value.replace(/[^ -~]/g, '?')]));
    return encodeNoticeResponse({ fields: plain }, BYTES);
  }
}

function approvalRefusal(...asked: Parameters<typeof refusalOf>): SqlRefusal {
  return { ...refusalOf(...asked), sqlState: DENIED };
}

export function pending(ask: ApprovalAsk, asked: AskedApproval): SqlRefusal {
  const { id } = asked;
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_PENDING',
    message: `${whatNeedsApproval(ask)} needs approval, request ${id} is waiting`,
    detail: `${changesText(ask)}${rulesOf(ask)} ${lackingText(asked)}`.trimEnd(),
    hint: `Send it again, with the same parameters, when \`hoop approvals show ${id}\` says approved; it runs once.`,
  });
}

export function notApproved(
  ask: ApprovalAsk,
  { id }: AskedApproval,
  standing: ApprovalStanding,
): SqlRefusal {
  const what = whatNeedsApproval(ask);
  switch (standing.state) {
    case 'denied':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_DENIED',
        message: `${what} was not approved`,
        detail: denialText(id, standing),
        hint: 'Talk to them before you send it again.',
      });
    case 'expired':
      return approvalRefusal(ask, {
        code: 'HOOP_APPROVAL_EXPIRED',
        message: `${what} was not approved in time`,
        detail: ask.inTransaction
          ? `Request ${id} waited as long as a statement may wait inside an open transaction, because its locks are held. ${rulesOf(ask)}`
          : `Nobody decided about request ${id}. ${rulesOf(ask)}`,
        hint: ask.inTransaction
          ? 'Send it as the first statement, outside of a transaction, where it may wait longer.'
          : 'Tell an approver, then send it again.',
      });
    case 'used':
      return usedElsewhere(ask, id);
    default:
      return changed(ask, id, standing.outcome ?? `it is ${standing.state}`);
  }
}

/** The same was sent twice in a run, and one of them has run. */
export function usedElsewhere(ask: ApprovalAsk, id: string): SqlRefusal {
  return {
    ...changed(ask, id, 'it ran on another connection of this run, which sent the same'),
    hint: 'Look at what it has done. Send it again only where it is to be done twice; that needs another approval.',
  };
}

export function changed(ask: ApprovalAsk, id: string, why: string): SqlRefusal {
  return approvalRefusal(ask, {
    code: 'HOOP_APPROVAL_VOID',
    message: `${whatNeedsApproval(ask)} did not run: the approval is void`,
    detail: `Request ${id}: ${why}.`,
    hint: 'Send it again to ask anew.',
  });
}

/** A statement that no approver can be expected to read. */
export function tooLarge(ask: ApprovalAsk, limit: string): SqlRefusal {
  return {
    ...approvalRefusal(ask, {
      code: 'HOOP_TOO_LARGE',
      message: `${whatNeedsApproval(ask)} needs approval and is too large to be shown`,
      detail: `${limit} ${rulesOf(ask)}`,
      hint: 'Split it.',
    }),
    sqlState: '54000',
  };
}

export function tooMany(ask: ApprovalAsk, error: { message: string; detail?: string | undefined }) {
  return approvalRefusal(ask, {
    code: 'HOOP_LIMIT',
    message: `${whatNeedsApproval(ask)} needs approval, and ${error.message}`,
    detail: error.detail ?? '',
    hint: 'Wait for decisions, or withdraw what is not needed any more.',
  });
}
