import { type Approval, isShortened } from '../../api/approvals.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { approvalChangeLine, approvalLines } from '../../ui/approvals/approval-lines.ts';
import { renderJson } from '../../ui/render-json.ts';
import type { Io } from '../io.ts';
import { lookOf } from '../print.ts';
import { listApprovals } from './approvals-list.ts';

export interface WatchFlags {
  /** commander's form of --no-tui. */
  readonly tui: boolean;
  readonly json?: boolean;
}

/** Changes of what has ended are seen as long as it is among so many newest requests. */
const MAX_FOLLOWED = '200';

/** `hoop approvals` alone: the view on a terminal, the list in a pipe. */
export async function defaultApprovals(io: Io): Promise<void> {
  await (hasScreen(io) ? watchApprovals(io, { tui: true }) : listApprovals(io, {}));
}

export async function watchApprovals(io: Io, flags: WatchFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  if (!flags.json && flags.tui && hasScreen(io)) {
    const { showApprovals } = await import('../../ui/approvals/approvals-view.ts');
    const { stdout, stdin, signal, color } = io;
    await showApprovals(client, { stdout, stdin, signal, color: color.stdout });
    return;
  }
  const known = new Map<string, string>();
  for await (const { approvals } of client.follow(
    { state: 'all', limit: MAX_FOLLOWED },
    io.signal,
  )) {
    const isFirst = known.size === 0;
    // Oldest first: in the order in which it happened.
    for (const approval of approvals.toReversed()) {
      const before = known.get(approval.id);
      const now = JSON.stringify(approval);
      known.set(approval.id, now);
      if (now !== before && !(isFirst && !isOpen(approval))) {
        const whole = await wholeOf(client, approval, io.signal);
        io.stdout.write(
          flags.json
            ? `${renderJson({ event: 'approval', v: 1, approval: whole })}\n`
            : changeText(io, whole, before === undefined),
        );
      }
    }
    forget(known, approvals);
  }
}

/** Lists shorten statements; who decides by these lines needs all of one. */
async function wholeOf(
  client: ApprovalsClient,
  approval: Approval,
  signal: AbortSignal,
): Promise<Approval> {
  return isShortened(approval) ? client.find(approval.id, signal) : approval;
}

function changeText(io: Io, approval: Approval, isNew: boolean): string {
  const look = lookOf(io);
  const lines = isNew
    ? [...approvalLines(approval, look, Date.now()), '']
    : [approvalChangeLine(approval, look.style)];
  return lines.map((line) => `${line}\n`).join('');
}

/** What has left the list does not come back. */
function forget(known: Map<string, string>, approvals: readonly Approval[]): void {
  const listed = new Set(approvals.map(({ id }) => id));
  for (const id of known.keys()) {
    if (!listed.has(id)) {
      known.delete(id);
    }
  }
}

function isOpen({ state }: Approval): boolean {
  return state === 'waiting' || state === 'approved';
}

function hasScreen(io: Io): boolean {
  return io.stdout.isTTY === true && io.stdin.isTTY === true && io.env['TERM'] !== 'dumb';
}
