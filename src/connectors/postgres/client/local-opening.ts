/**
 * How a local connection begins: what PostgreSQL calls the startup packet, and the questions about
 * encryption before it.
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ProtocolError } from '../../../errors.ts';
import { LocalRefusal } from '../../../tunnel/local-refusal.ts';
import { SocketReader } from '../../../tunnel/socket-reader.ts';
import {
  LATEST_MINOR_VERSION,
  MAX_STARTUP_PACKET_LENGTH,
  MIN_STARTUP_PACKET_LENGTH,
} from '../protocol/limits.ts';
import {
  type CancelRequest,
  decodeStartupPacket,
  type StartupMessage,
  type StartupPacket,
} from '../protocol/startup-packet.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import { encodeFatal } from './local-error-response.ts';
import type { LocalTls } from './local-tls.ts';

/** The connection, whose socket is another one once TLS has begun. */
export interface LocalConnection {
  socket: Socket;
}

export interface LocalOpeningOptions {
  readonly tls: LocalTls | undefined;
  readonly signal: AbortSignal;
}

const ENCRYPTED = Buffer.from('S');
const NOT_ENCRYPTED = Buffer.from('N');

/**
 * The first packet that is no question about encryption.
 * @returns undefined when the client closes before it has sent anything.
 * @throws LocalRefusal; or the reason of the signal.
 */
export async function readOpening(
  connection: LocalConnection,
  options: LocalOpeningOptions,
): Promise<StartupMessage | CancelRequest | undefined> {
  const asked = new Set<string>();
  while (true) {
    const { socket } = connection;
    const packet = await readStartupPacket(socket, options);
    if (packet === undefined) {
      return undefined;
    }
    if (packet.type === 'StartupMessage' || packet.type === 'CancelRequest') {
      return packet;
    }
    const isSecured = socket instanceof TLSSocket;
    // PostgreSQL as well: each once, and neither within TLS.
    if (isSecured || asked.has(packet.type)) {
      throw new LocalRefusal('garbage');
    }
    asked.add(packet.type);
    if (packet.type === 'direct TLS') {
      connection.socket = await startTls(socket, options, true);
    } else {
      requireNothingMore(socket);
      const begins = packet.type === 'SSLRequest' && options.tls !== undefined;
      socket.write(begins ? ENCRYPTED : NOT_ENCRYPTED);
      if (begins) {
        connection.socket = await startTls(socket, options, false);
      }
    }
  }
}

function startTls(
  socket: Socket,
  { tls, signal }: LocalOpeningOptions,
  isDirect: boolean,
): Promise<TLSSocket> {
  if (tls === undefined) {
    throw new LocalRefusal('direct TLS');
  }
  return tls.secure(socket, { isDirect, signal });
}

/**
 * What came with the request was sent in the clear, perhaps by somebody in between, and must not be
 * taken for what is said after it (CVE-2021-23214).
 */
function requireNothingMore(socket: Socket): void {
  if (socket.readableLength > 0) {
    throw new LocalRefusal(
      'data before TLS',
      encodeFatal({
        sqlState: SQL_STATE.protocolViolation,
        message: 'received unencrypted data after SSL request',
        detail:
          'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
        code: 'HOOP_PROTOCOL',
      }),
    );
  }
}

async function readStartupPacket(
  socket: Socket,
  { signal }: LocalOpeningOptions,
): Promise<StartupPacket | { readonly type: 'direct TLS' } | undefined> {
  using reader = new SocketReader(socket, signal);
  // One byte first: a TLS handshake shows by it, and may be shorter than four.
  const first = await reader.exactly(1);
  if (first === undefined) {
    return undefined;
  }
  if (first[0] === TLS_HANDSHAKE) {
    // The handshake begins with it.
    socket.unshift(first);
    return { type: 'direct TLS' };
  }
  const others = await reader.exactly(3);
  if (others === undefined) {
    throw new LocalRefusal('garbage');
  }
  const head = Buffer.concat([first, others]);
  const length = head.readUInt32BE();
  if (length < MIN_STARTUP_PACKET_LENGTH || length > MAX_STARTUP_PACKET_LENGTH) {
    throw new LocalRefusal(/^[A-Z]{3}/.test(head.toString('latin1')) ? 'HTTP' : 'garbage');
  }
  const body = await reader.exactly(length - 4);
  if (body === undefined) {
    throw new LocalRefusal('garbage');
  }
  checkMajorVersion(body);
  try {
    return decodeStartupPacket(body, BYTES);
  } catch (error) {
    throw malformed(error, 'invalid startup packet');
  }
}

/** ContentType handshake(22): https://www.rfc-editor.org/rfc/rfc8446#section-5.1 */
const TLS_HANDSHAKE = 0x16;
/** Above it the "version" is the code of a request: 1234 in its upper half. */
const REQUEST_MAJOR = 1234;

/** In PostgreSQL's words, which old drivers look for. */
function checkMajorVersion(body: Buffer): void {
  const major = body.readUInt16BE(0);
  const minor = body.readUInt16BE(2);
  if (major !== 3 && major !== REQUEST_MAJOR) {
    throw new LocalRefusal(
      'unsupported protocol version',
      encodeFatal({
        sqlState: SQL_STATE.featureNotSupported,
        message: `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${LATEST_MINOR_VERSION}`,
        code: 'HOOP_PROTOCOL',
      }),
    );
  }
}

/** What the codec refuses, as the client is told. */
export function malformed(error: unknown, message: string): unknown {
  return error instanceof ProtocolError
    ? new LocalRefusal(
        'malformed login',
        encodeFatal({
          sqlState: SQL_STATE.protocolViolation,
          message,
          detail: `${error.message}.`,
          code: 'HOOP_PROTOCOL',
        }),
      )
    : error;
}
