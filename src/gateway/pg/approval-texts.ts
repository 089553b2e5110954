/** What whoever sent a statement is told about its approval. */
import { describeApprovers } from '../../policy/describe-grant.ts';
import { describeStatement } from '../../policy/sql/evaluate-access.ts';
import type { ApprovalDemand } from '../../policy/sql/types.ts';
import type { Refusal } from '../../policy/types.ts';
import { encodeNoticeResponse } from '../../protocol/pg/notice-response.ts';
import { reportFields } from '../../protocol/pg/report-fields.ts';
import { BYTES, type TextCodec } from '../../protocol/pg/text-codec.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';
import { utcTime } from '../utc-time.ts';
import type { ApprovalAsk } from './types.ts';

/** E.g. `DELETE on public.orders`; of several statements the first that needs approval. */
export function whatNeedsApproval(ask: ApprovalAsk): string {
  const [analysis] = ask.analyses;
  return analysis === undefined ? 'the statement' : describeStatement(analysis);
}

export function approversOf({ demands }: ApprovalAsk): string {
  return describeApprovers(demands.map(({ terms }) => terms));
}

/** "Rule p/deletes (policies/p.yaml:12, policy 0123) asks for approval by 1 of dba." */
function rulesOf(ask: ApprovalAsk): string {
  const rules = ask.demands.map(({ rule }) => `${rule.id} (${rule.file}:${rule.line})`);
  const one = rules.length === 1;
  return `${one ? 'Rule' : 'Rules'} ${rules.join(', ')} of policy ${ask.policyCommit.slice(0, 12)} ${one ? 'asks' : 'ask'} for approval by ${approversOf(ask)}.`;
}

export function heldMessage(ask: ApprovalAsk, { id }: AskedApproval): string {
  return `${whatNeedsApproval(ask)} is held for approval, request ${id}`;
}

/** SQLSTATE 01000 is a warning without a class of its own; NOTICE is shown, and fails nothing. */
export function heldNotice(ask: ApprovalAsk, asked: AskedApproval, codec: TextCodec): Uint8Array {
  const text = (value: string): string => value.toWellFormed().replaceAll('\0', '');
  const fields = reportFields({
    severity: 'NOTICE',
    sqlState: '00000',
    message: text(heldMessage(ask, asked)),
    detail: text(
      `${rulesOf(ask)} ${lackingText(asked)}It waits until ${utcTime(asked.waitsUntilMs)}.`,
    ),
    hint: `An approver decides: hoop approvals approve ${asked.id}. A cancel withdraws it.`,
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

/** Who waits should know that nobody may ever come. */
function lackingText({ lacking }: AskedApproval): string {
  return lacking
    .map(({ groups, known }) => {
      const who = known === 0 ? 'Nobody else' : `Only ${known} other${known === 1 ? '' : 's'}`;
      return `${who} in ${groups.join(', ')} ${known > 1 ? 'have' : 'has'} logged in to this gateway yet. `;
    })
    .join('');
}

export function pending(ask: ApprovalAsk, asked: AskedApproval): Refusal {
  const { id } = asked;
  return refusal(ask, {
    code: 'HOOP_APPROVAL_PENDING',
    message: `${whatNeedsApproval(ask)} needs approval, request ${id} is waiting`,
    detail: `${rulesOf(ask)} ${lackingText(asked)}`.trimEnd(),
    hint: `Send it again, with the same parameters, when \`hoop approvals show ${id}\` says approved; it runs once.`,
  });
}

export function notApproved(
  ask: ApprovalAsk,
  { id }: AskedApproval,
  standing: ApprovalStanding,
): Refusal {
  const what = whatNeedsApproval(ask);
  switch (standing.state) {
    case 'denied': {
      const vote = standing.votes.findLast(({ decision }) => decision === 'deny');
      const why = vote?.reason === undefined ? '' : `: ${vote.reason}`;
      return refusal(ask, {
        code: 'HOOP_APPROVAL_DENIED',
        message: `${what} was not approved`,
        detail: `${vote?.by.name ?? 'An approver'} denied request ${id}${why}${/[.!?]$/.test(why) ? '' : '.'}`,
        hint: 'Talk to them before you send it again.',
      });
    }
    case 'expired':
      return refusal(ask, {
        code: 'HOOP_APPROVAL_EXPIRED',
        message: `${what} was not approved in time`,
        detail: ask.inTransaction
          ? `Request ${id} waited as long as a statement may wait inside an open transaction, because its locks are held. ${rulesOf(ask)}`
          : `Nobody decided about request ${id}. ${rulesOf(ask)}`,
        hint: ask.inTransaction
          ? 'Send it as the first statement, outside of a transaction, where it may wait longer.'
          : 'Tell an approver, then send it again.',
      });
    default:
      return changed(ask, id, standing.outcome ?? `it is ${standing.state}`);
  }
}

export function changed(ask: ApprovalAsk, id: string, why: string): Refusal {
  return refusal(ask, {
    code: 'HOOP_APPROVAL_VOID',
    message: `${whatNeedsApproval(ask)} did not run: the approval is void`,
    detail: `Request ${id}: ${why}.`,
    hint: 'Send it again to ask anew.',
  });
}

/** A statement that no approver can be expected to read. */
export function tooLarge(ask: ApprovalAsk, limit: string): Refusal {
  return {
    ...refusal(ask, {
      code: 'HOOP_TOO_LARGE',
      message: `${whatNeedsApproval(ask)} needs approval and is too large to be shown`,
      detail: `${limit} ${rulesOf(ask)}`,
      hint: 'Split it.',
    }),
    sqlState: '54000',
  };
}

export function tooMany(ask: ApprovalAsk, error: { message: string; detail?: string | undefined }) {
  return refusal(ask, {
    code: 'HOOP_LIMIT',
    message: `${whatNeedsApproval(ask)} needs approval, and ${error.message}`,
    detail: error.detail ?? '',
    hint: 'Wait for decisions, or withdraw what is not needed any more.',
  });
}

function refusal(
  ask: ApprovalAsk,
  text: Pick<Refusal, 'code' | 'message'> & { readonly detail: string; readonly hint: string },
): Refusal {
  const [demand]: readonly (ApprovalDemand | undefined)[] = ask.demands;
  return {
    ...text,
    sqlState: '42501',
    hint: demand?.hint ?? text.hint,
    position: undefined,
    rule: demand?.rule,
  };
}
