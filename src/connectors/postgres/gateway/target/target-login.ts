/**
 * Startup and authentication towards a target, up to its first ReadyForQuery. The password is used
 * here and nowhere else; nothing that the server says about it goes into an error (server-refusal.ts).
 * https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
import { createHash, randomBytes } from 'node:crypto';
import type { HoopError } from '../../../../errors.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';
import type { Grant } from '../../../../policy/types.ts';
import type { Secret } from '../../../../secret.ts';
import type { LoginMethod } from '../../policy/target.ts';
import { startupOptions } from '../../policy/verdict/guards-startup.ts';
import {
  type Authentication,
  decodeAuthentication,
  decodeBackendKeyData,
  decodeParameterStatus,
} from '../../protocol/backend-messages.ts';
import { type ChannelBinding, SCRAM_SHA_256_PLUS } from '../../protocol/channel-binding.ts';
import {
  encodePasswordMessage,
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from '../../protocol/frontend-messages.ts';
import { KnownScramKeys } from '../../protocol/known-scram-keys.ts';
import { BACKEND, backendName } from '../../protocol/message-types.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  type ReportFields,
} from '../../protocol/report-fields.ts';
import {
  type ScramClientFinalState,
  type ScramClientState,
  scramClientFinal,
  scramClientFirst,
  verifyScramServerFinal,
} from '../../protocol/scram-client.ts';
import { SCRAM_SHA_256 } from '../../protocol/scram-sha-256.ts';
import { encodeStartupMessage } from '../../protocol/startup-packet.ts';
import { BYTES } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { type LoginStage, ServerRefusal } from '../refusals/server-refusal.ts';
import { redactLoginReport } from '../results/redact-report.ts';
import type { PostgresTarget } from '../types.ts';
import { readMessage } from '../wire/read-message.ts';
import { targetError } from './target-errors.ts';
import type { TargetSocket } from './target-socket.ts';

export interface TargetLogin {
  /** As of the first ReadyForQuery. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly processId: number;
  readonly secretKey: Uint8Array;
  /** What the server noted about it, for the client. */
  readonly notices: readonly ReportFields[];
}

/** Nobody needs more to know what is odd about a login; the rest is left out. */
const MAX_NOTICES = 20;
const NONCE_BYTES = 18;
/** As long as the password itself is held, which is for a session. */
const KNOWN_KEYS = new WeakMap<Secret<string>, KnownScramKeys>();

export interface TargetLoginOptions extends Pick<TargetSocket, 'socket' | 'tls' | 'channel'> {
  readonly target: PostgresTarget;
  readonly host: TargetHost;
  /** Sent beside user and database. */
  readonly startup: ReadonlyMap<string, string>;
  /** What hides masked values from the client. */
  readonly grant: Grant | undefined;
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
  await authenticate(options);
  const reported = new Map<string, string>();
  const notices: ReportFields[] = [];
  let processId = 0;
  let secretKey = new Uint8Array(0);
  for (;;) {
    const { type, body } = await readMessage(socket, signal);
    switch (type) {
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
        return { parameters: reported, processId, secretKey, notices };
      case BACKEND.ErrorResponse:
        throw refused(options, body, 'accepted');
      case BACKEND.NoticeResponse:
        if (options.grant !== undefined && notices.length < MAX_NOTICES) {
          const { fields } = decodeNoticeResponse(body, BYTES);
          notices.push(redactLoginReport(fields, 'notice', options.grant));
        }
        break;
      default:
        throw loginError(options, `The server sent ${backendName(type) ?? 'an unknown message'}.`);
    }
  }
}

/**
 * Up to AuthenticationOk. Nothing else may come before it: a server that asks twice, or that skips
 * its own proof, is after the password.
 */
async function authenticate(options: TargetLoginOptions): Promise<void> {
  const { socket, signal } = options;
  const answers = new PasswordAnswers(options);
  for (;;) {
    const { type, body } = await readMessage(socket, signal);
    switch (type) {
      case BACKEND.Authentication: {
        const request = decodeAuthentication(body);
        if (request.type === 'AuthenticationOk') {
          answers.requireProof();
          return;
        }
        await answers.answer(request);
        break;
      }
      case BACKEND.ErrorResponse:
        throw refused(options, body, answers.wasAsked ? 'asked' : 'start');
      case BACKEND.NoticeResponse:
        break;
      default:
        throw loginError(options, `The server sent ${backendName(type) ?? 'an unknown message'}.`);
    }
  }
}

/** The exchange of one login: which step it is at, and what the server has proved. */
class PasswordAnswers {
  readonly #options: TargetLoginOptions;
  /** `password`: sent, MD5 or clear; only the server's verdict can follow. */
  #step: 'start' | 'password' | 'first' | 'final' | 'proved' = 'start';
  #first: ScramClientState | undefined;
  #final: ScramClientFinalState | undefined;
  #isBound = false;

  constructor(options: TargetLoginOptions) {
    this.#options = options;
  }

  get wasAsked(): boolean {
    return this.#step !== 'start';
  }

  async answer(request: Authentication): Promise<void> {
    const { socket } = this.#options;
    switch (request.type) {
      case 'AuthenticationCleartextPassword':
        this.#allow(this.#options.tls ? 'password' : 'password-without-tls');
        this.#step = 'password';
        socket.write(encodePasswordMessage({ password: this.#password() }));
        return;
      case 'AuthenticationMD5Password':
        this.#allow('md5');
        this.#step = 'password';
        socket.write(encodePasswordMessage({ password: this.#md5(request.salt) }));
        return;
      case 'AuthenticationSASL':
        this.#allow('scram-sha-256');
        this.#step = 'first';
        return this.#begin(request.mechanisms);
      case 'AuthenticationSASLContinue':
        return this.#continue(request.data);
      case 'AuthenticationSASLFinal':
        if (this.#step !== 'final' || this.#final === undefined) {
          throw this.#error('The server ended SCRAM too early.');
        }
        verifyScramServerFinal(this.#final, Buffer.from(request.data).toString());
        this.#step = 'proved';
        return;
      default:
        throw this.#error(`The server asks for ${request.type}, which is not supported.`);
    }
  }

  /** Once SCRAM has begun, a server that skips its proof is not the one that knows the password. */
  requireProof(): void {
    const { target } = this.#options;
    if (this.#step === 'first' || this.#step === 'final') {
      throw this.#error('The server did not prove that it knows the password.');
    }
    if (this.#step === 'start' && !target.methods.includes('none')) {
      throw this.#error(
        'The server asked for no proof of the gateway’s identity; see `requireAuth`.',
      );
    }
    if (target.tls.channelBinding === 'require' && !this.#isBound) {
      throw this.#error('The server accepted the login without channel binding.');
    }
  }

  /** Before anything of the credential is sent. */
  #allow(method: LoginMethod): void {
    const { target } = this.#options;
    if (this.#step !== 'start') {
      throw this.#error('The server asked for the password again.');
    }
    if (!target.methods.includes(method)) {
      throw this.#error(REFUSED_METHODS[method]);
    }
    if (target.tls.channelBinding === 'require' && method !== 'scram-sha-256') {
      throw this.#error('The server asks for a password without channel binding.');
    }
  }

  #begin(mechanisms: readonly string[]): void {
    const { mechanism, binding } = this.#choose(mechanisms);
    const nonce = randomBytes(NONCE_BYTES).toString('base64');
    const { message, state } = scramClientFirst(nonce, '', binding);
    this.#first = state;
    this.#isBound = binding.flag === 'p';
    this.#options.socket.write(
      encodeSASLInitialResponse({ mechanism, data: Buffer.from(message) }),
    );
  }

  /** RFC 5802 §6: "y" lets a server that did offer -PLUS see that somebody took it away. */
  #choose(mechanisms: readonly string[]): { mechanism: string; binding: ChannelBinding } {
    const { tls, channel, target } = this.#options;
    const wanted = target.tls.channelBinding;
    const isOffered = mechanisms.includes(SCRAM_SHA_256_PLUS);
    if (isOffered && !tls) {
      throw this.#error(
        'The server offers channel binding without TLS: somebody is in the middle.',
      );
    }
    if (isOffered && channel !== undefined && wanted !== 'disable') {
      return { mechanism: SCRAM_SHA_256_PLUS, binding: { flag: 'p', data: channel } };
    }
    if (wanted === 'require') {
      throw this.#error(
        isOffered
          ? 'SCRAM cannot be bound to the server’s certificate.'
          : 'The server does not offer channel binding.',
      );
    }
    if (!mechanisms.includes(SCRAM_SHA_256)) {
      throw this.#error(`The server does not offer ${SCRAM_SHA_256}.`);
    }
    const canBind = channel !== undefined && wanted !== 'disable';
    return { mechanism: SCRAM_SHA_256, binding: { flag: canBind ? 'y' : 'n' } };
  }

  async #continue(data: Uint8Array): Promise<void> {
    if (this.#step !== 'first' || this.#first === undefined) {
      throw this.#error('The server started SCRAM in the middle.');
    }
    this.#step = 'final';
    const serverFirst = Buffer.from(data).toString();
    const { message, state } = await scramClientFinal(
      this.#first,
      this.#password(),
      serverFirst,
      this.#knownKeys(),
    );
    this.#final = state;
    this.#options.socket.write(encodeSASLResponse({ data: Buffer.from(message) }));
  }

  #knownKeys(): KnownScramKeys | undefined {
    const { password } = this.#options.target;
    if (password === undefined) {
      return undefined;
    }
    const known = KNOWN_KEYS.get(password) ?? new KnownScramKeys();
    KNOWN_KEYS.set(password, known);
    return known;
  }

  #md5(salt: Uint8Array): string {
    const inner = md5(`${this.#password()}${this.#options.target.user}`);
    return `md5${md5(Buffer.concat([Buffer.from(inner), salt]))}`;
  }

  #password(): string {
    const { target } = this.#options;
    if (target.password === undefined) {
      throw this.#error('The server asks for a password, but the credential has none.');
    }
    return target.password.expose();
  }

  #error(text: string): HoopError {
    return loginError(this.#options, text);
  }
}

const REFUSED_METHODS: Readonly<Record<LoginMethod, string>> = {
  'scram-sha-256': 'The server asks for SCRAM, which `requireAuth` of the target does not allow.',
  md5: 'The server asks for an MD5 hash, which `requireAuth` of the target does not allow.',
  password: 'The server asks for the password in clear; `requireAuth` of the target forbids it.',
  'password-without-tls': 'The server asks for the password in clear, without TLS.',
  none: 'The server asked for no proof of the gateway’s identity; see `requireAuth`.',
};

function md5(data: string | Uint8Array): string {
  return createHash('md5').update(data).digest('hex');
}

function refused(options: TargetLoginOptions, body: Uint8Array, stage: LoginStage): HoopError {
  const { target, host, startup, grant } = options;
  const { fields } = decodeErrorResponse(body, BYTES);
  const cause = new ServerRefusal({
    fields: grant === undefined ? fields : redactLoginReport(fields, 'error', grant),
    stage,
    hidden: [target.user, host.host],
    password: target.password?.expose(),
    sent: [target.database, ...sentWords(startup)],
  });
  const reason = REASONS[cause.sqlState] ?? 'The server refused the login.';
  return loginError(options, `${reason} (SQLSTATE ${cause.sqlState})`, cause);
}

function sentWords(startup: ReadonlyMap<string, string>): string[] {
  const options = startupOptions(startup.get('options') ?? '') ?? [];
  return [...startup, ...options].flat();
}

const REASONS: Readonly<Record<string, string>> = {
  [SQL_STATE.invalidPassword]: 'The server did not accept the credential.',
  [SQL_STATE.invalidAuthorization]: 'The server does not accept this credential from here.',
  [SQL_STATE.invalidCatalogName]: 'The database does not exist on the server.',
  [SQL_STATE.insufficientPrivilege]:
    'The credential may not connect to the database, or may not set a startup option.',
  [SQL_STATE.tooManyConnections]: 'The server has too many connections.',
  [SQL_STATE.cannotConnectNow]: 'The server is starting up or shutting down.',
  [SQL_STATE.invalidParameterValue]: 'The server does not accept a startup option.',
  [SQL_STATE.undefinedObject]: 'The server does not know a startup option.',
};

function loginError(
  { target, host }: TargetLoginOptions,
  text: string,
  cause?: unknown,
): HoopError {
  return targetError(target, { code: 'HOOP_TARGET_LOGIN', text, host, cause });
}
