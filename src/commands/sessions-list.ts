import { openGateway } from '../auth/open-gateway.ts';
import { plain } from '../ui/printable.ts';
import { renderJson } from '../ui/render-json.ts';
import { sessionDetails, sessionTable } from '../ui/session-table.ts';
import { styleFor } from '../ui/style.ts';
import { terminalWidth } from '../ui/terminal-width.ts';
import type { Io } from './io.ts';
import { findSession } from './sessions-source.ts';

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
        : 'no sessions yet; `hoop connect NAME` makes one',
    );
    return;
  }
  const style = styleFor(io.color.stdout);
  const width = terminalWidth(io.stdout, io.env);
  io.stdout.write(`${sessionTable(reply.sessions, { style, width }).join('\n')}\n`);
}

export async function showSession(io: Io, id: string, flags: ShowFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const session = await findSession(gateway.client, id, io.signal);
  if (flags.json) {
    io.stdout.write(`${renderJson({ v: 1, session })}\n`);
    return;
  }
  io.stdout.write(`${sessionDetails(session, styleFor(io.color.stdout)).join('\n')}\n`);
}
