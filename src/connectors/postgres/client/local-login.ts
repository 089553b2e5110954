/**
 * The login of one local connection, as PostgreSQL's own server does it, up to the point where the
 * client has proved that it knows the session's password. Nothing of it leaves this machine.
 *
 *   client                          hoop
 *     |-- SSLRequest, GSSENCRequest -->|  each at most once; a TLS handshake may come without
 *     |<---------- 'S' and TLS, or 'N' |
 *     |-- StartupMessage ------------->|  the user whose connection it is?
 *     |<--- (NegotiateProtocolVersion) |
 *     |<----------- AuthenticationSASL |
 *     |-- SASLInitialResponse -------->|
 *     |<--- AuthenticationSASLContinue |  whose process is it? While the client computes its answer
 *     |-- SASLResponse --------------->|  looked at when that is known
 *     |<------ AuthenticationSASLFinal |  AuthenticationOk comes from the gateway
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ProtocolError } from '../../../errors.ts';
import { LocalRefusal } from '../../../tunnel/local-refusal.ts';
import { SocketReader } from '../../../tunnel/socket-reader.ts';
import {
  encodeAuthentication,
  encodeNegotiateProtocolVersion,
} from '../protocol/backend-messages.ts';
import { SCRAM_SHA_256_PLUS } from '../protocol/channel-binding.ts';
import { decodeSASLInitialResponse } from '../protocol/frontend-messages.ts';
import { LATEST_MINOR_VERSION, MAX_SASL_MESSAGE_LENGTH } from '../protocol/limits.ts';
import { FRONTEND } from '../protocol/message-types.ts';
import { scramServerFinal, scramServerFirst } from '../protocol/scram-server.ts';
import { SCRAM_SHA_256, type ScramVerifier } from '../protocol/scram-sha-256.ts';
import type { CancelRequest, StartupMessage } from '../protocol/startup-packet.ts';
import { BYTES } from '../protocol/text-codec.ts';
import { SQL_STATE } from '../sql-state.ts';
import { encodeFatal } from './local-error-response.ts';
import { type LocalConnection, malformed, readOpening } from './local-opening.ts';
import type { LocalTls } from './local-tls.ts';

export interface LocalLoginOptions {
  /** The one user name of this session. */
  readonly user: string;
  readonly verifier: ScramVerifier;
  /** Then nothing goes on without it. */
  readonly tls: LocalTls | undefined;
  /** Throws LocalRefusal when it is another user of this machine. */
  readonly checkPeer: () => Promise<void>;
  /** The client has sent a whole packet: it is not one of those that only wait. */
  readonly onSpoken: () => void;
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

/**
 * @param connection its socket is replaced when TLS begins; what is said after a refusal must go
 *   through the one that is there then.
 * @throws LocalRefusal; or the reason of the signal.
 */
export async function logInLocally(
  connection: LocalConnection,
  options: LocalLoginOptions,
): Promise<LocalLogin> {
  const packet = await readOpening(connection, options);
  if (packet === undefined) {
    return { type: 'closed' };
  }
  options.onSpoken();
  if (packet.type === 'CancelRequest') {
    await options.checkPeer();
    return { type: 'cancel', request: packet };
  }
  requireUser(packet);
  const { socket } = connection;
  const channel = socket instanceof TLSSocket ? options.tls?.channel : undefined;
  if (options.tls !== undefined && channel === undefined) {
    throw withoutTls();
  }
  const startup = negotiate(socket, packet);
  using reader = new SocketReader(socket, options.signal);
  await authenticate({ socket, reader, startup: packet, channel, options });
  return { type: 'session', startup };
}

function requireUser(startup: StartupMessage): void {
  if ((startup.parameters.get('user') ?? '') === '') {
    throw new LocalRefusal(
      'malformed login',
      encodeFatal({
        sqlState: SQL_STATE.invalidAuthorization,
        message: 'no PostgreSQL user name specified in startup packet',
        code: 'HOOP_PROTOCOL',
      }),
    );
  }
}

function withoutTls(): LocalRefusal {
  return new LocalRefusal(
    'no TLS',
    encodeFatal({
      sqlState: SQL_STATE.invalidAuthorization,
      message: 'this port accepts only TLS connections',
      detail: 'It was opened with "hoop connect --tls".',
      hint: 'Connect with sslmode=verify-full and the sslrootcert that "hoop connect" printed.',
      code: 'HOOP_PROTOCOL',
    }),
  );
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
async function authenticate({
  socket,
  reader,
  startup,
  channel,
  options,
}: {
  readonly socket: Socket;
  readonly reader: SocketReader;
  readonly startup: StartupMessage;
  /** undefined: no TLS, so there is nothing to bind to. */
  readonly channel: Uint8Array | undefined;
  readonly options: LocalLoginOptions;
}): Promise<void> {
  const { verifier } = options;
  const plusOffered = channel !== undefined;
  const mechanisms = plusOffered ? [SCRAM_SHA_256_PLUS, SCRAM_SHA_256] : [SCRAM_SHA_256];
  socket.write(encodeAuthentication({ type: 'AuthenticationSASL', mechanisms }));
  const user = startup.parameters.get('user');
  try {
    const { mechanism, clientFirst } = await readClientFirst(socket, reader);
    if (!mechanisms.includes(mechanism)) {
      throw new ProtocolError('client selected an invalid SASL authentication mechanism');
    }
    const first = scramServerFirst({
      clientFirst,
      verifier,
      serverNonce: randomBytes(NONCE_LENGTH).toString('base64'),
      plusOffered,
      channel: mechanism === SCRAM_SHA_256_PLUS ? channel : undefined,
    });
    socket.write(
      encodeAuthentication({
        type: 'AuthenticationSASLContinue',
        data: Buffer.from(first.message, 'latin1'),
      }),
    );
    // Not before: asking takes milliseconds, as the client's answer does. The password is not looked
    // at before it is known, so that a stranger does not learn whether it was the right one.
    const isOurs = options.checkPeer();
    const response = await unlessRejected(readPasswordMessage(reader, 'malformed login'), isOurs);
    await isOurs;
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

/** @throws as soon as `condition` does */
async function unlessRejected<T>(work: Promise<T>, condition: Promise<void>): Promise<T> {
  return await Promise.race([work, condition.then(() => work)]);
}

async function readClientFirst(
  socket: Socket,
  reader: SocketReader,
): Promise<{ readonly mechanism: string; readonly clientFirst: string }> {
  // A client that has no password closes here: libpq asks for one and comes again.
  const body = await readPasswordMessage(reader, 'no password');
  const { mechanism, data } = decodeSASLInitialResponse(body);
  if (data !== null) {
    return { mechanism, clientFirst: Buffer.from(data).toString('latin1') };
  }
  // No initial response: an empty challenge asks for it (src/backend/libpq/auth-sasl.c).
  socket.write(
    encodeAuthentication({ type: 'AuthenticationSASLContinue', data: new Uint8Array(0) }),
  );
  const response = await readPasswordMessage(reader, 'malformed login');
  return { mechanism, clientFirst: response.toString('latin1') };
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
      sqlState: SQL_STATE.invalidPassword,
      message: `password authentication failed for user "${name}"`,
      hint: 'Each session has its own user and password: take them from the output of "hoop connect".',
      code: 'HOOP_PROTOCOL',
    }),
  );
}
