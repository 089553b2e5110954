/** What an approval covers that was asked for because of a number of rows. */
import { StatementPart } from '../../../../api/approvals.ts';
import type { ApprovalRecord } from '../../../../gateway/approvals/approval-record.ts';
import type { Approvals } from '../../../../gateway/approvals/approvals.ts';
import type { AskedApproval } from '../../../../gateway/approvals/asked-approval.ts';
import {
  askOnce,
  type SessionApprovalsOptions,
} from '../../../../gateway/approvals/session-approvals.ts';
import type { RowChanges } from '../../../../policy/row-changes.ts';
import { isCovered } from '../../policy/verdict/decide-rows.ts';
import type { ApprovalAsk } from '../types.ts';

export interface AskedStatement extends AskedApproval {
  /** What it covers; absent: it was not asked for because of a number of rows. See `isCovered`. */
  readonly changes?: RowChanges;
}

/** @param create makes the request, when it was not asked for before, or for fewer rows */
export async function askStatement(
  options: SessionApprovalsOptions,
  ask: Pick<ApprovalAsk, 'demands' | 'changes' | 'waits'>,
  binding: string,
  create: (waits: boolean) => Promise<ApprovalRecord>,
): Promise<AskedStatement> {
  const { approvals } = options;
  let made: ApprovalRecord | undefined;
  const asked = await askOnce(
    options,
    ask,
    binding,
    async (waits) => {
      made = await create(waits);
      return made;
    },
    async (before) => {
      const shown = await shownChanges(approvals, before);
      const isTooFew =
        ask.changes !== undefined && (shown === undefined || !isCovered(ask.changes, shown));
      return isTooFew ? 'it would now change more rows' : undefined;
    },
  );
  const changes = made === undefined ? await shownChanges(approvals, asked) : ask.changes;
  return changes === undefined ? asked : { ...asked, changes };
}

/** The number of rows that whoever decides is shown; undefined: it was not asked because of one. */
async function shownChanges(
  approvals: Approvals,
  { id }: Pick<ApprovalRecord, 'id'>,
): Promise<RowChanges | undefined> {
  return StatementPart.safeParse(await approvals.details(id)).data?.changes;
}
