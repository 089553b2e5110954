/** Connections out of a fence, byte for byte, and none of PostgreSQL. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startsPostgres } from './starts-postgres.ts';

const CONNECT_WITHIN_MS = 10_000;

export async function connectTo(address: string, port: number): Promise<Socket> {
  const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Both ways, until both have ended; whatever fails ends both. */
export function splice(client: Socket, target: Socket, head: Buffer, onPostgres: () => void): void {
  const gone = (): void => {
    client.destroy();
    target.destroy();
  };
  client.once('close', gone);
  target.once('close', gone);
  // A half that has ended is passed on as such: `pipe` calls `end`, and does not close the rest.
  client.allowHalfOpen = true;
  target.pipe(client);
  let first = head;
  const look = (bytes: Buffer): void => {
    first = Buffer.concat([first, bytes]);
    const verdict = startsPostgres(first);
    if (verdict === 'unknown') {
      return;
    }
    client.off('data', look);
    client.off('end', pass);
    if (verdict === 'yes') {
      onPostgres();
      gone();
    } else {
      pass();
    }
  };
  const pass = (): void => {
    client.off('data', look);
    target.write(first);
    if (client.readableEnded) {
      target.end();
    } else {
      client.pipe(target);
    }
  };
  client.on('data', look);
  client.once('end', pass);
  look(Buffer.alloc(0));
  client.resume();
}
