import { createInterface } from 'node:readline';
import type { Approval } from '../../api/approvals.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { HoopError } from '../../errors.ts';
import { approvalLines, decisionText } from '../../ui/approvals/approval-lines.ts';
import { styleFor } from '../../ui/text/style.ts';
import { onAbort } from '../../until.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';
import { findApproval } from './approvals-source.ts';

export interface DecideFlags {
  readonly reason?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export async function decideApproval(
  io: Io,
  typed: string,
  decision: 'approve' | 'deny',
  flags: DecideFlags,
): Promise<void> {
  const { reason } = flags;
  if (decision === 'deny' && (reason ?? '').trim() === '') {
    throw new HoopError('HOOP_USAGE', 'a denial needs a reason', {
      hint: 'The requester sees it: --reason "what to do instead".',
    });
  }
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const shown = await findApproval(client, typed, io.signal);
  if (decision === 'approve' && flags.yes !== true && io.stdin.isTTY && io.stderr.isTTY) {
    await confirm(io, shown);
  }
  const decided = await client.decide(
    shown.id,
    { decision, binding: shown.binding, ...(reason === undefined ? {} : { reason }) },
    io.signal,
  );
  if (printedAsJson(io, flags, { v: 1, approval: decided })) return;
  io.note(decisionText(decided, decision));
}

/** Nobody approves what they have not seen. @throws HOOP_INTERRUPTED when the answer is no. */
async function confirm(io: Io, approval: Approval): Promise<void> {
  const options = { style: styleFor(io.color.stderr), width: io.stderr.columns };
  io.stderr.write(`${approvalLines(approval, options, Date.now()).join('\n')}\n`);
  io.stderr.write('hoop: approve this? [y/N] ');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const lines = createInterface({ input: io.stdin, terminal: false });
  using _ = onAbort(io.signal, () => reject(io.signal.reason));
  lines.once('line', resolve);
  lines.once('close', () => resolve(''));
  try {
    const answer = await promise;
    if (!/^y(es)?$/i.test(answer.trim())) {
      throw new HoopError('HOOP_USAGE', 'not approved; the request keeps waiting', {
        hint: 'Answer y, or deny it with `hoop approvals deny ID --reason TEXT`.',
      });
    }
  } finally {
    lines.close();
  }
}
