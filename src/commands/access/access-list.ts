import { APPROVAL_ID } from '../../api/approvals.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import { ApprovalsClient } from '../../client/approvals-client.ts';
import { HoopError } from '../../errors.ts';
import { renderAccess } from '../../ui/render-access.ts';
import { plain } from '../../ui/text/printable.ts';
import { MIN_PREFIX, normalized } from '../approvals/approvals-source.ts';
import type { Io } from '../io.ts';
import { type JsonFlag, lookOf, printedAsJson, printLines } from '../print.ts';

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
  if (printedAsJson(io, flags, { v: 1, grants: shown, requests: approvals, requestable })) return;
  const lines = renderAccess(
    { grants: shown, requests: approvals, requestable },
    {
      ...lookOf(io),
      nowMs: Date.now(),
    },
  );
  if (lines.length === 0) {
    io.note('you have no temporary access, and the policy lists none that you can ask for');
    return;
  }
  printLines(io, lines);
}

export async function revokeAccess(io: Io, typed: string, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const client = new ApprovalsClient(gateway.client);
  const wanted = normalized(typed);
  const id = APPROVAL_ID.test(wanted) ? wanted : await grantThatBegins(client, wanted, io.signal);
  await client.revoke(id, io.signal);
  if (!printedAsJson(io, flags, { v: 1, id, state: 'revoked' })) {
    io.note(`${id} is over`);
  }
}

/** Of what holds now, as `hoop access list` shows it. */
async function grantThatBegins(
  client: ApprovalsClient,
  wanted: string,
  signal: AbortSignal,
): Promise<string> {
  const { grants } = await client.access(signal);
  const found = grants.filter(({ id, state }) => state === 'active' && id.startsWith(wanted));
  const [grant, other] = wanted.length < MIN_PREFIX ? [] : found;
  const begins = `an ID that starts with "${plain(wanted)}"`;
  const hint = `Give the ID from \`hoop access list\`, or its first ${MIN_PREFIX} characters.`;
  if (grant === undefined) {
    throw new HoopError('HOOP_APPROVAL_UNKNOWN', `no active grant has ${begins}`, { hint });
  }
  if (other !== undefined) {
    throw new HoopError('HOOP_USAGE', `several grants have ${begins}`, { hint });
  }
  return grant.id;
}
