import type { Socket } from 'node:net';

/**
 * @returns so many bytes, or undefined if the peer closed before; what follows stays in the socket.
 * @throws the reason of the signal.
 */
export async function readExactly(
  socket: Socket,
  length: number,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  if (length === 0) {
    return Buffer.alloc(0);
  }
  while (true) {
    signal.throwIfAborted();
    const bytes: Buffer | null = socket.read(length);
    if (bytes !== null) {
      // At the end of the stream `read` gives what is left, which may be less.
      return bytes.length === length ? bytes : undefined;
    }
    if (socket.readableEnded || socket.destroyed) {
      return undefined;
    }
    await somethingHappens(socket, signal);
  }
}

const EVENTS = ['readable', 'end', 'error', 'close'] as const;

function somethingHappens(socket: Socket, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const happened = (): void => {
    for (const event of EVENTS) {
      socket.off(event, happened);
    }
    signal.removeEventListener('abort', happened);
    resolve();
  };
  for (const event of EVENTS) {
    socket.on(event, happened);
  }
  signal.addEventListener('abort', happened, { once: true });
  return promise;
}
