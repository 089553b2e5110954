/** Connections out of a fence, byte for byte, and none of PostgreSQL. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

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

/**
 * Whether a connection begins as PostgreSQL's does: a length and a code, as in every startup packet.
 * https://www.postgresql.org/docs/18/protocol-message-formats.html
 *
 * What is allowed through the fence is a list of names; this is for the name that turns out to be a
 * database, which must not be talked to past hoop. TLS without a question before it
 * (sslnegotiation=direct) looks like any other TLS and is not seen.
 */
const HEADER_LENGTH = 8;
const PROTOCOL_3 = 3;
/** CancelRequest, SSLRequest, GSSENCRequest: 1234 in the upper half. */
const REQUEST = 1234;
/** MAX_STARTUP_PACKET_LENGTH of the server. */
const MAX_LENGTH = 10_000;

function startsPostgres(bytes: Buffer): 'yes' | 'no' | 'unknown' {
  if (bytes.length < HEADER_LENGTH) {
    // The first byte of a length is 0, which nothing else begins with that is known here.
    return bytes.length === 0 || bytes[0] === 0 ? 'unknown' : 'no';
  }
  const length = bytes.readUInt32BE(0);
  const major = bytes.readUInt16BE(4);
  const isStartup = major === PROTOCOL_3 || major === REQUEST;
  return length >= HEADER_LENGTH && length <= MAX_LENGTH && isStartup ? 'yes' : 'no';
}
