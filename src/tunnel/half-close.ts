/**
 * A local client that closes its half of the connection: does it still read, or has it gone? A FIN
 * is all that comes in either case. A server need not care, since it learns it when it writes; but
 * a statement may run for hours before there is something to write, and who is gone shall not keep
 * it running. Linux shows whether somebody still holds the other end.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { withinTime } from '../until.ts';
import type { TargetFacts } from './connector.ts';
import { endsOf, peerUid, type TcpEnds } from './local-peer.ts';

export type Tunnel = Duplex & {
  /** No more from us, but answers still come. Absent: it knows no such state. */
  readonly halfClose?: () => void;
  /** What the gateway says of the target. */
  readonly target?: TargetFacts;
};

/** How often it is looked up whether a client that has closed its half is still there. */
const LOOK_EVERY_MS = 250;
/** Where that cannot be known (unix sockets, not Linux): for answers that are nearly there. */
const UNKNOWN_PEER_MS = 500;

/**
 * The gateway is told at once: it tells the server, which closes when nothing is under way, and that
 * is the end of nearly all connections. Whether somebody still waits is asked of those that go on.
 * Resolves when the client has gone, or the tunnel has closed; then it is the end of the stream.
 */
export async function whileHalfClosed(socket: Socket, tunnel: Tunnel): Promise<void> {
  if (tunnel.halfClose === undefined || tunnel.readableEnded || tunnel.destroyed) {
    return;
  }
  tunnel.halfClose();
  const ends = endsOf(socket);
  const over = new AbortController();
  const { signal } = over;
  const closed = Promise.race([
    once(tunnel, 'end', { signal }),
    once(tunnel, 'close', { signal }),
    once(socket, 'close', { signal }),
  ]).then(
    () => over.abort(),
    () => over.abort(),
  );
  const pause = (ms: number): Promise<boolean> => withinTime(closed, ms);
  await pause(LOOK_EVERY_MS);
  if (!signal.aborted && !(ends !== undefined && (await isInTable(ends)))) {
    await pause(UNKNOWN_PEER_MS - LOOK_EVERY_MS);
  } else {
    while (!signal.aborted && ends !== undefined && (await isHeld(ends))) {
      await pause(LOOK_EVERY_MS);
    }
  }
  over.abort();
}

/** Our own end is in the table: then it shows the other one too. */
async function isInTable({ near, far }: TcpEnds): Promise<boolean> {
  return (await peerUid({ near: far, far: near })) !== undefined;
}

async function isHeld(ends: TcpEnds): Promise<boolean> {
  return (await peerUid(ends)) !== undefined;
}
