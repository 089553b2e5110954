import { openGateway } from '../auth/open-gateway.ts';
import { ApprovalsClient } from '../client/approvals-client.ts';
import { approvalLines, approvalTable } from '../ui/approval-lines.ts';
import { renderJson } from '../ui/render-json.ts';
import { styleFor } from '../ui/style.ts';
import { terminalWidth } from '../ui/terminal-width.ts';
import { findApproval } from './approvals-source.ts';
import type { Io } from './io.ts';

export interface ListFlags {
  readonly all?: boolean;
  readonly json?: boolean;
}

export interface ShowFlags {
  readonly json?: boolean;
}

export async function listApprovals(io: Io, flags: ListFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const reply = await client.list({ state: flags.all ? 'all' : 'open' }, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson(reply)}\n`);
    return;
  }
  if (reply.approvals.length === 0) {
    io.note(flags.all ? 'no requests yet' : 'nothing waits; `--all` shows what was decided');
    return;
  }
  const style = styleFor(io.color.stdout);
  const width = terminalWidth(io.stdout, io.env);
  const lines = approvalTable(reply.approvals, { style, width }, Date.now());
  io.stdout.write(`${lines.join('\n')}\n`);
}

export async function showApproval(io: Io, typed: string, flags: ShowFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const approval = await findApproval(new ApprovalsClient(gateway.client), typed, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson({ v: 1, approval })}\n`);
    return;
  }
  const style = styleFor(io.color.stdout);
  const width = terminalWidth(io.stdout, io.env);
  io.stdout.write(`${approvalLines(approval, { style, width }, Date.now()).join('\n')}\n`);
}
