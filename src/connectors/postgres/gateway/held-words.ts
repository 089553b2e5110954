/** How whoever sent a statement is told about its approval. */

import type { AskedApproval } from '../../../gateway/approvals/asked-approval.ts';
import type { HeldText, HoldManner, HoldWords } from '../../../gateway/approvals/hold-texts.ts';
import { rowCountText } from '../../../policy/describe-grant.ts';
import { describeChanges } from '../../../policy/row-changes.ts';
import { describeStatement } from '../policy/evaluate-access.ts';
import type { TextCodec } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import { encodeNotice } from './encode-notice.ts';
import type { ApprovalAsk } from './types.ts';
import { withRest } from './whole-message.ts';

const MANNER: HoldManner = {
  didNot: 'did not run',
  again: 'send it again',
  anew: 'Send it again to ask anew.',
  verySame: 'Send it again, with the same parameters,',
  elsewhere: 'it ran on another connection of this run, which sent the same',
  otherPlace: 'another connection',
  withdraws: 'A cancel withdraws it.',
  keeps:
    'Sent again in this run, the very same statement waits on, and runs once when it is approved.',
};

export function wordsOf(ask: ApprovalAsk): HoldWords {
  const { changes, inTransaction } = ask;
  return {
    manner: MANNER,
    what: whatNeedsApproval(ask),
    ...(changes === undefined
      ? {}
      : { extent: extentOf(changes), effect: describeChanges(changes) }),
    expired: inTransaction ? expiredInTransaction : undefined,
  };
}

/** E.g. `DELETE on public.orders`; of several statements the first that needs approval. */
function whatNeedsApproval({ analyses: [analysis] }: ApprovalAsk): string {
  return analysis === undefined ? 'the statement' : describeStatement(analysis);
}

function extentOf(changes: NonNullable<ApprovalAsk['changes']>): string {
  return changes.counted === 'trial' ? ` (${rowCountText(changes.rows)})` : ' (rows not counted)';
}

function expiredInTransaction(id: string): Pick<HeldText, 'detail' | 'hint'> {
  return {
    detail: `Request ${id} waited as long as a statement may wait inside an open transaction, because its locks are held.`,
    hint: 'Send it as the first statement, outside of a transaction, where it may wait longer.',
  };
}

/** SQLSTATE 00000, and NOTICE: it is shown, and fails nothing. */
export function heldNotice(
  { demands: [demand] }: ApprovalAsk,
  { message, detail, hint }: HeldText,
  { isKept }: AskedApproval,
  codec: TextCodec,
): Uint8Array {
  const rest = [demand && `rule ${demand.rule.id}`, hint];
  return encodeNotice(
    {
      severity: 'NOTICE',
      sqlState: SQL_STATE.successfulCompletion,
      message: isKept ? withRest(message, rest) : message,
      detail,
      hint,
    },
    codec,
    'HOOP_APPROVAL_PENDING',
  );
}
