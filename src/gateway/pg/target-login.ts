/**
 * Startup and authentication towards a target, up to its first ReadyForQuery. The password is used
 * here and nowhere else; nothing that the server says about it goes into an error.
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { HoopError } from '../../errors.ts';
import { type Authentication, decodeAuthentication } from '../../protocol/pg/authentication.ts';
import { decodeBackendKeyData } from '../../protocol/pg/backend-key-data.ts';
import { decodeErrorResponse } from '../../protocol/pg/error-response.ts';
import { BACKEND, backendName } from '../../protocol/pg/message-types.ts';
import { decodeParameterStatus } from '../../protocol/pg/parameter-status.ts';
import { encodePasswordMessage } from '../../protocol/pg/password-message.ts';
import { encodeSASLInitialResponse } from '../../protocol/pg/sasl-initial-response.ts';
import { encodeSASLResponse } from '../../protocol/pg/sasl-response.ts';
import {
  type ScramClientFinalState,
  type ScramClientState,
  scramClientFinal,
  scramClientFirst,
  verifyScramServerFinal,
} from '../../protocol/pg/scram-client.ts';
import { encodeStartupMessage } from '../../protocol/pg/startup-message.ts';
import { BYTES } from '../../protocol/pg/text-codec.ts';
import { readExactly } from './read-exactly.ts';
import type { PostgresTarget } from './types.ts';

export interface TargetLogin {
  /** As of the first ReadyForQuery. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

/** A startup message of the server is small; the longest is an error with its context. */
const MAX_LOGIN_MESSAGE = 64 * 1024;
const SCRAM = 'SCRAM-SHA-256';
const NONCE_BYTES = 18;

export interface TargetLoginOptions {
  readonly socket: Socket;
  readonly target: PostgresTarget;
  readonly tls: boolean;
  /** Sent beside user and database. */
  readonly startup: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

/** @throws HoopError HOOP_TARGET_LOGIN, HOOP_TARGET_UNREACHABLE; or the signal's reason. */
export async function logInToTarget(options: TargetLoginOptions): Promise<TargetLogin> {
  const { socket, target, signal } = options;
  const parameters = new Map([
    ['user', target.user],
    ['database', target.database],
  ]);
  for (const [name, value] of options.startup) parameters.set(name, value);
  socket.write(encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters }));
  const answers = new PasswordAnswers(options);
  const reported = new Map<string, string>();
  let processId = 0;
  let secretKey = new Uint8Array(0);
  for (;;) {
    const { type, body } = await readMessage(socket, signal);
    switch (type) {
      case BACKEND.Authentication:
        await answers.answer(decodeAuthentication(body));
        break;
      case BACKEND.ParameterStatus: {
        const status = decodeParameterStatus(body, BYTES);
        reported.set(status.name, status.value);
        break;
      }
      case BACKEND.BackendKeyData: {
        const key = decodeBackendKeyData(body);
        processId = key.processId;
        secretKey = key.secretKey.slice();
        break;
      }
      case BACKEND.ReadyForQuery:
        answers.requireProof();
        return { parameters: reported, processId, secretKey };
      case BACKEND.ErrorResponse:
        throw refused(target, decodeErrorResponse(body, BYTES).fields);
      case BACKEND.NoticeResponse:
        break;
      default:
        throw loginError(target, `The server sent ${backendName(type) ?? 'an unknown message'}.`);
    }
  }
}

/** The exchange of one login: which step it is at, and what the server has proved. */
class PasswordAnswers {
  readonly #options: TargetLoginOptions;
  #first: ScramClientState | undefined;
  #final: ScramClientFinalState | undefined;
  #proved = false;

  constructor(options: TargetLoginOptions) {
    this.#options = options;
  }

  async answer(request: Authentication): Promise<void> {
    const { socket, target, tls } = this.#options;
    switch (request.type) {
      case 'AuthenticationOk':
        return;
      case 'AuthenticationCleartextPassword':
        if (!tls)
          throw loginError(target, 'The server asks for the password in clear, without TLS.');
        socket.write(encodePasswordMessage({ password: this.#password() }));
        return;
      case 'AuthenticationMD5Password':
        socket.write(encodePasswordMessage({ password: this.#md5(request.salt) }));
        return;
      case 'AuthenticationSASL':
        return this.#begin(request.mechanisms);
      case 'AuthenticationSASLContinue':
        return this.#continue(request.data);
      case 'AuthenticationSASLFinal':
        if (this.#final === undefined)
          throw loginError(target, 'The server ended SCRAM too early.');
        verifyScramServerFinal(this.#final, Buffer.from(request.data).toString());
        this.#proved = true;
        return;
      default:
        throw loginError(target, `The server asks for ${request.type}, which is not supported.`);
    }
  }

  /** Once SCRAM has begun, a server that skips its proof is not the one that knows the password. */
  requireProof(): void {
    if (this.#first !== undefined && !this.#proved) {
      throw loginError(
        this.#options.target,
        'The server did not prove that it knows the password.',
      );
    }
  }

  #begin(mechanisms: readonly string[]): void {
    const { socket, target } = this.#options;
    if (!mechanisms.includes(SCRAM)) {
      throw loginError(target, `The server does not offer ${SCRAM}.`);
    }
    const { message, state } = scramClientFirst(randomBytes(NONCE_BYTES).toString('base64'));
    this.#first = state;
    socket.write(encodeSASLInitialResponse({ mechanism: SCRAM, data: Buffer.from(message) }));
  }

  async #continue(data: Uint8Array): Promise<void> {
    const { socket, target } = this.#options;
    if (this.#first === undefined)
      throw loginError(target, 'The server began SCRAM in the middle.');
    const serverFirst = Buffer.from(data).toString();
    const { message, state } = await scramClientFinal(this.#first, this.#password(), serverFirst);
    this.#final = state;
    socket.write(encodeSASLResponse({ data: Buffer.from(message) }));
  }

  #md5(salt: Uint8Array): string {
    const inner = md5(`${this.#password()}${this.#options.target.user}`);
    return `md5${md5(Buffer.concat([Buffer.from(inner), salt]))}`;
  }

  #password(): string {
    const { target } = this.#options;
    if (target.password === undefined) {
      throw loginError(target, 'The server asks for a password and the credential has none.');
    }
    return target.password.expose();
  }
}

function md5(data: string | Uint8Array): string {
  return createHash('md5').update(data).digest('hex');
}

async function readMessage(
  socket: Socket,
  signal: AbortSignal,
): Promise<{ type: number; body: Uint8Array }> {
  const header = await readExactly(socket, 5, signal);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const length = view.getUint32(1);
  if (length < 4 || length > MAX_LOGIN_MESSAGE) {
    throw new HoopError(
      'HOOP_TARGET_UNREACHABLE',
      'the target does not speak the PostgreSQL protocol',
    );
  }
  return { type: view.getUint8(0), body: await readExactly(socket, length - 4, signal) };
}

/** The server's text may name the login role; only its SQLSTATE goes on. */
function refused(target: PostgresTarget, fields: ReadonlyMap<string, string>): HoopError {
  const sqlState = fields.get('C') ?? 'unknown';
  const reason = REASONS[sqlState];
  return loginError(target, `${reason ?? 'The server refused the login.'} (SQLSTATE ${sqlState})`);
}

const REASONS: Readonly<Record<string, string>> = {
  '28P01': 'The server did not accept the credential.',
  '28000': 'The server does not let this credential in from here.',
  '3D000': 'The database does not exist on the server.',
  '42501': 'The credential may not connect to the database, or not set a startup option.',
  '53300': 'The server has too many connections.',
  '57P03': 'The server is starting up or shutting down.',
  '22023': 'The server does not accept a startup option.',
  '42704': 'The server does not know a startup option.',
};

function loginError(target: PostgresTarget, detail: string): HoopError {
  return new HoopError('HOOP_TARGET_LOGIN', `cannot log in to target "${target.name}"`, { detail });
}
