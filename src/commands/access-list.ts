import { openGateway } from '../auth/open-gateway.ts';
import { ApprovalsClient } from '../tunnel/approvals-client.ts';
import { renderAccess } from '../ui/render-access.ts';
import { renderJson } from '../ui/render-json.ts';
import { styleFor } from '../ui/style.ts';
import { terminalWidth } from '../ui/terminal-width.ts';
import { normalized } from './approvals-source.ts';
import type { Io } from './io.ts';

export interface AccessListFlags {
  readonly all?: boolean;
  readonly json?: boolean;
}

export async function listAccess(io: Io, flags: AccessListFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const { requestable, grants } = await client.access(io.signal);
  const { approvals } = await client.list({ kind: 'access', state: 'open' }, io.signal);
  const shown = flags.all ? grants : grants.filter(({ state }) => state === 'active');
  if (flags.json) {
    io.stdout.write(`${renderJson({ v: 1, grants: shown, requests: approvals, requestable })}\n`);
    return;
  }
  const lines = renderAccess(
    { grants: shown, requests: approvals, requestable },
    {
      style: styleFor(io.color.stdout),
      width: terminalWidth(io.stdout, io.env),
      nowMs: Date.now(),
    },
  );
  if (lines.length === 0) {
    io.note('you have no temporary access, and the policy lists none that you could ask for');
    return;
  }
  io.stdout.write(`${lines.join('\n')}\n`);
}

export async function revokeAccess(io: Io, typed: string): Promise<void> {
  await using gateway = await openGateway(io);
  const id = normalized(typed);
  await new ApprovalsClient(gateway.client).revoke(id, io.signal);
  io.note(`${id} is over`);
}
