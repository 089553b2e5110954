/** `hoop approvals wait` and `withdraw`: what whoever has asked does with a request. */

import type { Approval } from '../../api/approvals.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { HoopError } from '../../errors.ts';
import { approvalChangeLine } from '../../ui/approvals/approval-lines.ts';
import { plain } from '../../ui/text/printable.ts';
import { styleFor } from '../../ui/text/style.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';
import { findApproval } from './approvals-source.ts';

export interface WaitFlags {
  readonly timeout?: number;
  readonly json?: boolean;
}

/** Resolves when it is approved or used. @throws HOOP_APPROVAL_…: it is not, and why */
export async function waitForApproval(io: Io, typed: string, flags: WaitFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const time = flags.timeout === undefined ? undefined : AbortSignal.timeout(flags.timeout * 1000);
  const signal = time === undefined ? io.signal : AbortSignal.any([io.signal, time]);
  const { id } = await findApproval(client, typed, io.signal);
  const decided = await client.untilDecided(id, signal).catch((error: unknown) => {
    if (time?.aborted === true && !io.signal.aborted) return undefined;
    throw error;
  });
  const approval = decided ?? (await client.find(id, io.signal));
  if (!printedAsJson(io, flags, { v: 1, approval })) {
    io.stdout.write(`${approvalChangeLine(approval, styleFor(io.color.stdout))}\n`);
  }
  if (approval.state === 'waiting') {
    io.note(`request ${plain(id)} is still waiting, and will keep waiting after this command`);
    io.setExitCode(1);
    return;
  }
  const failure = failureOf(approval);
  if (failure !== undefined) throw failure;
}

export async function withdrawApproval(io: Io, typed: string): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const { id } = await findApproval(client, typed, io.signal);
  await client.withdraw(id, io.signal);
  io.note(`withdrew request ${plain(id)}`);
}

function failureOf({ id, state, outcome, votes }: Approval): HoopError | undefined {
  const denial = votes.find(({ decision }) => decision === 'deny');
  const why = denial === undefined ? outcome : `${denial.by.name}: ${denial.reason ?? ''}`;
  const detail = why === undefined ? {} : { detail: plain(why) };
  switch (state) {
    case 'approved':
    case 'used':
    case 'waiting':
      return undefined;
    case 'denied':
      return new HoopError('HOOP_APPROVAL_DENIED', `request ${id} was denied`, detail);
    case 'expired':
      return new HoopError('HOOP_APPROVAL_EXPIRED', `request ${id} has expired`, detail);
    case 'withdrawn':
    case 'void':
      return new HoopError('HOOP_APPROVAL_VOID', `request ${id} came to nothing`, detail);
  }
}
