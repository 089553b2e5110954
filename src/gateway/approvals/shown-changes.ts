import { StatementPart } from '../../api/approvals.ts';
import type { RowChanges } from '../../connectors/postgres/policy/types.ts';
import type { ApprovalRecord } from './approval-record.ts';
import type { Approvals } from './approvals.ts';

/** The number of rows that whoever decides is shown; undefined: it was not asked because of one. */
export function shownChanges(approvals: Approvals, record: ApprovalRecord): RowChanges | undefined {
  return record.kind === 'statement'
    ? StatementPart.safeParse(approvals.details(record.id)).data?.changes
    : undefined;
}
