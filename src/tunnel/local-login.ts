/**
 * The login of one local connection, as PostgreSQL's own server does it, up to the point where the
 * client has proved that it knows the session's password. Nothing of it leaves this machine.
 *
 *   client                          hoop
 *     |-- SSLRequest, GSSENCRequest -->|  each at most once
 *     |<------------------------- 'N' -|
 *     |-- StartupMessage ------------->|
 *     |<--- (NegotiateProtocolVersion) |
 *     |<----------- AuthenticationSASL |
 *     |-- SASLInitialResponse -------->|
 *     |<--- AuthenticationSASLContinue |
 *     |-- SASLResponse --------------->|
 *     |<------ AuthenticationSASLFinal |  AuthenticationOk comes from the gateway
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { ProtocolError } from '../errors.ts';
import { encodeAuthentication } from '../protocol/pg/authentication.ts';
import type { CancelRequest } from '../protocol/pg/cancel-request.ts';
import {
  LATEST_MINOR_VERSION,
  MAX_SASL_MESSAGE_LENGTH,
  MAX_STARTUP_PACKET_LENGTH,
  MIN_STARTUP_PACKET_LENGTH,
} from '../protocol/pg/limits.ts';
import { FRONTEND } from '../protocol/pg/message-types.ts';
import { encodeNegotiateProtocolVersion } from '../protocol/pg/negotiate-protocol-version.ts';
import { decodeSASLInitialResponse } from '../protocol/pg/sasl-initial-response.ts';
import { scramServerFinal, scramServerFirst } from '../protocol/pg/scram-server.ts';
import { SCRAM_SHA_256, type ScramVerifier } from '../protocol/pg/scram-sha-256.ts';
import type { StartupMessage } from '../protocol/pg/startup-message.ts';
import { decodeStartupPacket, type StartupPacket } from '../protocol/pg/startup-packet.ts';
import { BYTES } from '../protocol/pg/text-codec.ts';
import { encodeFatal } from './local-error-response.ts';
import { LocalRefusal } from './local-refusal.ts';
import { SocketReader } from './socket-reader.ts';

export interface LocalLoginOptions {
  /** The one user name of this session. */
  readonly user: string;
  readonly verifier: ScramVerifier;
  readonly signal: AbortSignal;
}

export type LocalLogin =
  /** Authenticated; the message is as the gateway shall get it, its text read with BYTES. */
  | { readonly type: 'session'; readonly startup: StartupMessage }
  /** Not authenticated: the protocol has no login for it, the key is all there is. */
  | { readonly type: 'cancel'; readonly request: CancelRequest }
  /** Closed by the client before it sent anything that is worth a count: pg_isready, a port scan. */
  | { readonly type: 'closed' };

/** Bytes of randomness in our half of the nonce: SCRAM_RAW_NONCE_LEN in PostgreSQL. */
const NONCE_LENGTH = 18;
const PROTOCOL_OPTION = '_pq_.';
const NOT_ENCRYPTED = Buffer.from('N');

/** @throws LocalRefusal; or the reason of the signal. */
export async function logInLocally(
  socket: Socket,
  options: LocalLoginOptions,
): Promise<LocalLogin> {
  using reader = new SocketReader(socket, options.signal);
  const packet = await readOpening(socket, reader);
  if (packet === undefined) {
    return { type: 'closed' };
  }
  if (packet.type === 'CancelRequest') {
    return { type: 'cancel', request: packet };
  }
  const startup = negotiate(socket, packet);
  await authenticate(socket, reader, packet, options);
  return { type: 'session', startup };
}

/** The first packet that is no question about encryption. */
async function readOpening(
  socket: Socket,
  reader: SocketReader,
): Promise<StartupMessage | CancelRequest | undefined> {
  const asked = new Set<string>();
  while (true) {
    const packet = await readStartupPacket(reader);
    if (packet === undefined) {
      return undefined;
    }
    if (packet.type !== 'SSLRequest' && packet.type !== 'GSSENCRequest') {
      return packet;
    }
    if (asked.has(packet.type)) {
      throw new LocalRefusal('garbage');
    }
    asked.add(packet.type);
    socket.write(NOT_ENCRYPTED);
  }
}

async function readStartupPacket(reader: SocketReader): Promise<StartupPacket | undefined> {
  // One byte first: a TLS handshake shows by it, and may be shorter than four.
  const first = await reader.exactly(1);
  if (first === undefined) {
    return undefined;
  }
  if (first[0] === TLS_HANDSHAKE) {
    throw new LocalRefusal('direct TLS');
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
        sqlState: '0A000',
        message: `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.${LATEST_MINOR_VERSION}`,
        code: 'HOOP_PROTOCOL',
      }),
    );
  }
}

/**
 * Tells the client, once, which newer version or options it asked for are not known, as
 * SendNegotiateProtocolVersion does.
 * @returns the message without them: they are answered, and the gateway would have to ask again.
 */
function negotiate(socket: Socket, message: StartupMessage): StartupMessage {
  const options = [...message.parameters.keys()].filter((name) => name.startsWith(PROTOCOL_OPTION));
  const minorVersion = Math.min(message.minorVersion, LATEST_MINOR_VERSION);
  if (options.length > 0 || message.minorVersion > LATEST_MINOR_VERSION) {
    socket.write(
      encodeNegotiateProtocolVersion(
        { majorVersion: message.majorVersion, minorVersion, unrecognizedOptions: options },
        BYTES,
      ),
    );
  }
  const parameters = new Map(
    [...message.parameters].filter(([name]) => !name.startsWith(PROTOCOL_OPTION)),
  );
  return { ...message, minorVersion, parameters };
}

/**
 * A wrong user name goes through the same exchange, with the same salt, and fails where a wrong
 * password fails: from outside the two cannot be told apart.
 */
async function authenticate(
  socket: Socket,
  reader: SocketReader,
  startup: StartupMessage,
  options: LocalLoginOptions,
): Promise<void> {
  const { verifier } = options;
  socket.write(encodeAuthentication({ type: 'AuthenticationSASL', mechanisms: [SCRAM_SHA_256] }));
  const user = startup.parameters.get('user');
  try {
    const clientFirst = await readClientFirst(socket, reader);
    const serverNonce = randomBytes(NONCE_LENGTH).toString('base64');
    const first = scramServerFirst({ clientFirst, verifier, serverNonce, plusOffered: false });
    socket.write(
      encodeAuthentication({
        type: 'AuthenticationSASLContinue',
        data: Buffer.from(first.message, 'latin1'),
      }),
    );
    const response = await readPasswordMessage(reader, 'malformed login');
    const final = scramServerFinal(first.state, response.toString('latin1'));
    if (final === undefined || user !== options.user) {
      throw wrongPassword(user);
    }
    socket.write(
      encodeAuthentication({
        type: 'AuthenticationSASLFinal',
        data: Buffer.from(final, 'latin1'),
      }),
    );
  } catch (error) {
    throw malformed(error, 'malformed SCRAM message');
  }
}

async function readClientFirst(socket: Socket, reader: SocketReader): Promise<string> {
  // A client that has no password closes here: libpq asks for one and comes again.
  const body = await readPasswordMessage(reader, 'no password');
  const { mechanism, data } = decodeSASLInitialResponse(body);
  if (mechanism !== SCRAM_SHA_256) {
    throw new ProtocolError('client selected an invalid SASL authentication mechanism');
  }
  if (data !== null) {
    return Buffer.from(data).toString('latin1');
  }
  // No initial response: an empty challenge asks for it (src/backend/libpq/auth-sasl.c).
  socket.write(
    encodeAuthentication({ type: 'AuthenticationSASLContinue', data: new Uint8Array(0) }),
  );
  const response = await readPasswordMessage(reader, 'malformed login');
  return response.toString('latin1');
}

async function readPasswordMessage(
  reader: SocketReader,
  whenClosed: 'no password' | 'malformed login',
): Promise<Buffer> {
  const header = await reader.exactly(5);
  if (header === undefined) {
    throw new LocalRefusal(whenClosed);
  }
  const bodyLength = header.readUInt32BE(1) - 4;
  if (header[0] !== FRONTEND.PasswordMessage) {
    throw new ProtocolError(`expected SASL response, got message type ${header[0]}`);
  }
  if (bodyLength < 0 || bodyLength > MAX_SASL_MESSAGE_LENGTH) {
    throw new ProtocolError('invalid length of a SASL response');
  }
  const body = await reader.exactly(bodyLength);
  if (body === undefined) {
    throw new LocalRefusal('malformed login');
  }
  return body;
}

function wrongPassword(user: string | undefined): LocalRefusal {
  const name = Buffer.from(user ?? '', 'latin1').toString('utf8');
  return new LocalRefusal(
    'wrong password',
    encodeFatal({
      sqlState: '28P01',
      message: `password authentication failed for user "${name}"`,
      hint: 'User and password are made for each session: take them from the output of "hoop connect".',
      code: 'HOOP_PROTOCOL',
    }),
  );
}

function malformed(error: unknown, message: string): unknown {
  return error instanceof ProtocolError
    ? new LocalRefusal(
        'malformed login',
        encodeFatal({
          sqlState: '08P01',
          message,
          detail: `${error.message}.`,
          code: 'HOOP_PROTOCOL',
        }),
      )
    : error;
}
