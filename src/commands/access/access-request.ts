import type { Approval } from '../../api/approvals.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { type ErrorCode, HoopError } from '../../errors.ts';
import { peopleText } from '../../policy/words/people-text.ts';
import { lackingNotes, spanOf } from '../../ui/approvals/approval-lines.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';

export interface RequestFlags {
  readonly for: number;
  readonly reason: string;
  readonly grant?: string;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export async function requestAccess(io: Io, target: string, flags: RequestFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const approval = await client.request(
    {
      target,
      durationSeconds: flags.for,
      reason: flags.reason,
      ...(flags.grant === undefined ? {} : { policy: flags.grant }),
    },
    io.signal,
  );
  io.stdout.write(flags.json ? `${renderJson({ v: 1, approval })}\n` : `${plain(approval.id)}\n`);
  io.note(`asked for ${describe(approval)}; it waits for ${approversOf(approval)}`);
  for (const note of lackingNotes(approval)) {
    io.note(note);
  }
  io.note(`an approver decides with: hoop approvals approve ${plain(approval.id)}`);
  if (!flags.wait) {
    return;
  }
  const ended = await untilEnded(client, approval.id, io.signal);
  printedAsJson(io, flags, { v: 1, approval: ended });
  const failure = FAILURES[ended.state];
  if (failure !== undefined) {
    throw notGiven(ended, failure);
  }
  io.note(
    `you have ${describe(ended)} now; give it back with: hoop access revoke ${plain(ended.id)}`,
  );
}

/** Answers to a request for access; `waiting` and `approved` (not in force yet) are none. */
const FAILURES: { readonly [state in Approval['state']]?: ErrorCode } = {
  denied: 'HOOP_APPROVAL_DENIED',
  expired: 'HOOP_APPROVAL_EXPIRED',
  withdrawn: 'HOOP_APPROVAL_VOID',
  void: 'HOOP_APPROVAL_VOID',
};

async function untilEnded(
  client: ApprovalsClient,
  id: string,
  signal: AbortSignal,
): Promise<Approval> {
  const query = { state: 'all', kind: 'access', limit: '1' };
  // The list says when something changed; the request itself is asked for, however old it is.
  for await (const _ of client.follow(query, signal)) {
    const approval = await client.find(id, signal);
    if (approval.state !== 'waiting' && approval.state !== 'approved') {
      return approval;
    }
  }
  throw signal.reason;
}

function notGiven(approval: Approval, code: ErrorCode): HoopError {
  const vote = approval.votes.find(({ decision }) => decision === 'deny');
  const why = vote === undefined ? approval.outcome : `${vote.by.name}: ${vote.reason ?? ''}`;
  return new HoopError(
    code,
    `the request for ${describe(approval)} was not granted: ${approval.state}`,
    {
      detail: why === undefined ? undefined : plain(why),
      hint: code === 'HOOP_APPROVAL_EXPIRED' ? 'Ask again, and tell an approver.' : undefined,
    },
  );
}

function describe({ access, target }: Approval): string {
  return access === undefined
    ? plain(target)
    : `${plain(access.policy)} on ${plain(target)} for ${spanOf(access.durationSeconds * 1000)}`;
}

function approversOf({ needs }: Approval): string {
  return needs.map((need) => plain(peopleText(need))).join(' and ');
}
