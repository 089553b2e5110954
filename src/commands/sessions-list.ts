import type { SessionSummary } from '../api/sessions.ts';
import { openGateway } from '../auth/open-gateway.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';
import { plain } from '../ui/printable.ts';
import { renderJson } from '../ui/render-json.ts';
import { sessionDetails, sessionTable } from '../ui/session-table.ts';
import { styleFor } from '../ui/style.ts';
import { terminalWidth } from '../ui/terminal-width.ts';
import type { Io } from './io.ts';
import { FULL_ID, findSession } from './sessions-source.ts';

export interface ListFlags {
  readonly mine?: boolean;
  readonly live?: boolean;
  readonly target?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export interface ShowFlags {
  readonly json?: boolean;
}

export async function listSessions(io: Io, flags: ListFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const reply = await gateway.client.sessions(
    {
      limit: String(flags.limit),
      ...(flags.mine ? { mine: '1' } : {}),
      ...(flags.live ? { live: '1' } : {}),
      ...(flags.target ? { target: flags.target } : {}),
    },
    io.signal,
  );
  if (flags.json) {
    io.stdout.write(`${renderJson(reply)}\n`);
    return;
  }
  if (reply.sessions.length === 0) {
    const none = `no ${flags.live ? 'live ' : ''}session`;
    io.note(
      flags.target || flags.live
        ? `${none}${flags.target ? ` on target "${plain(flags.target)}"` : ''} that you may see`
        : 'no sessions of yours yet; `hoop connect NAME` makes one (approvers see everybody’s live ones with --live)',
    );
    return;
  }
  const style = styleFor(io.color.stdout);
  const width = terminalWidth(io.stdout, io.env);
  io.stdout.write(`${sessionTable(reply.sessions, { style, width }).join('\n')}\n`);
}

export async function showSession(io: Io, id: string, flags: ShowFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const session = await findShown(gateway.client, id, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson({ v: 1, session })}\n`);
    return;
  }
  io.stdout.write(`${sessionDetails(session, styleFor(io.color.stdout)).join('\n')}\n`);
}

/** Approvers see others' sessions while they are live, which no list has unless it is asked for. */
async function findShown(
  client: GatewayClient,
  id: string,
  signal: AbortSignal,
): Promise<SessionSummary> {
  try {
    return await findSession(client, id, signal);
  } catch (error) {
    const isUnknown = error instanceof HoopError && error.code === 'HOOP_SESSION_UNKNOWN';
    if (!isUnknown || id === 'last' || FULL_ID.test(id.toLowerCase())) {
      throw error;
    }
    return await findSession(client, id, signal, { live: '1' }).catch(() => {
      throw error;
    });
  }
}
