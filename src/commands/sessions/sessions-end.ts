import { openGateway } from '../../auth/open-gateway.ts';
import type { GatewayClient } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';
import { FULL_ID, findSession } from './sessions-source.ts';

export interface EndFlags {
  readonly reason?: string;
  readonly login?: boolean;
  readonly json?: boolean;
}

export async function endSession(io: Io, typed: string, flags: EndFlags): Promise<void> {
  await using gateway = await openGateway(io);
  const id = await liveSession(gateway.client, typed, io.signal);
  const { reason, login } = flags;
  const ended = await gateway.client.endSession(id, io.signal, {
    ...(reason === undefined ? {} : { reason }),
    ...(login === undefined ? {} : { login }),
  });
  if (printedAsJson(io, flags, ended)) return;
  io.note(`session ${ended.session} has ended; its client was told: ${plain(ended.endMessage)}`);
  if (ended.logins > 0) {
    io.note(login ? 'its login has ended, with all its sessions and runs' : RUN_ENDED);
  }
}

const RUN_ENDED = 'the login of its run has ended: its programs can open no new session';

/** `last` is the newest of one's own: nobody should end a colleague's by it. */
async function liveSession(
  client: GatewayClient,
  typed: string,
  signal: AbortSignal,
): Promise<string> {
  const wanted = typed.toLowerCase();
  // Not asked for first: an approver may end sessions that only auditors may read.
  if (FULL_ID.test(wanted)) {
    return wanted;
  }
  if (wanted === 'last') {
    const { sessions } = await client.sessions({ limit: '1', mine: '1', live: '1' }, signal);
    const [newest] = sessions;
    if (newest === undefined) {
      throw new HoopError('HOOP_SESSION_UNKNOWN', 'you have no live session', {
        hint: '`hoop sessions list --live` shows the live sessions that you may see.',
      });
    }
    return newest.id;
  }
  return (await findSession(client, typed, signal, { live: '1' })).id;
}
