import type { SessionSummary } from '../../api/sessions.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import type { GatewayClient } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import { sessionDetails, sessionTable } from '../../ui/session-table.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { type JsonFlag, lookOf, printedAsJson, printLines } from '../print.ts';
import { FULL_ID, findSession } from './sessions-source.ts';

export interface ListFlags extends JsonFlag {
  readonly mine?: boolean;
  readonly live?: boolean;
  readonly target?: string;
  readonly limit: number;
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
  if (printedAsJson(io, flags, reply)) return;
  if (reply.sessions.length === 0) {
    const none = `no ${flags.live ? 'live ' : ''}session`;
    io.note(
      flags.target || flags.live
        ? `${none}${flags.target ? ` on target "${plain(flags.target)}"` : ''} that you may see`
        : 'you have no sessions yet; `hoop connect NAME` starts one (approvers see everybody’s live ones with --live)',
    );
    return;
  }
  printLines(io, sessionTable(reply.sessions, lookOf(io)));
}

export async function showSession(io: Io, id: string, flags: JsonFlag): Promise<void> {
  await using gateway = await openGateway(io);
  const session = await findShown(gateway.client, id, io.signal);
  if (printedAsJson(io, flags, { v: 1, session })) return;
  printLines(io, sessionDetails(session, lookOf(io).style));
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
