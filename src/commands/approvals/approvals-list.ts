import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { approvalLines, approvalTable } from '../../ui/approvals/approval-lines.ts';
import type { Io } from '../io.ts';
import { type JsonFlag, lookOf, printedAsJson, printLines } from '../print.ts';
import { findApproval } from './approvals-source.ts';

export interface ListFlags extends JsonFlag {
  readonly all?: boolean;
}

export async function listApprovals(io: Io, flags: ListFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const reply = await client.list({ state: flags.all ? 'all' : 'open' }, io.signal);
  if (printedAsJson(io, flags, reply)) return;
  if (reply.approvals.length === 0) {
    io.note(flags.all ? 'no requests yet' : 'nothing is waiting; `--all` shows decided requests');
    return;
  }
  printLines(io, approvalTable(reply.approvals, lookOf(io), Date.now()));
}

export async function showApproval(io: Io, typed: string, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const approval = await findApproval(new ApprovalsClient(gateway.client), typed, io.signal);
  if (printedAsJson(io, flags, { v: 1, approval })) return;
  printLines(io, approvalLines(approval, lookOf(io), Date.now()));
}
