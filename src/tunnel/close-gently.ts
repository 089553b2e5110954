import type { Socket } from 'node:net';

/** How long a peer may take to close its side. */
const LINGER_MS = 2_000;

/**
 * Sends the last bytes, if any, and closes when the peer has closed as well or has had its time.
 * Closing at once, with bytes of the peer unread, would send a reset that can overtake them.
 */
export async function closeGently(socket: Socket, lastBytes?: Uint8Array): Promise<void> {
  if (socket.destroyed) {
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', resolve);
  const timer = setTimeout(() => {
    socket.destroy();
  }, LINGER_MS);
  if (lastBytes === undefined) {
    socket.end();
  } else {
    socket.end(lastBytes);
  }
  // What it still sends is read and dropped.
  socket.resume();
  await promise;
  clearTimeout(timer);
}
