/**
 * Which of the hosts of a target, and over what kind of connection, as libpq does it:
 *
 *   for each host                         the next one only if this one cannot be reached,
 *     with TLS and without, as the mode     is starting up, or is not of the kind that is wanted
 *       TCP, TLS, login
 *       standby? read-only?               target_session_attrs
 *
 * A refused credential ends it at once: on every host it would count as a failed login.
 */

import type { Socket } from 'node:net';
import { HoopError, ProtocolError } from '../../../../errors.ts';
import { firstReached } from '../../../../gateway/targets/first-reached.ts';
import { networkText } from '../../../../gateway/targets/network-text.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';
import { tlsText } from '../../../../gateway/targets/tls-text.ts';
import type { Grant } from '../../../../policy/types.ts';
import type { SessionAttributes } from '../../policy/target.ts';
import { decodeDataRow } from '../../protocol/backend-messages.ts';
import { encodeQuery } from '../../protocol/frontend-messages.ts';
import { BACKEND } from '../../protocol/message-types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { ServerRefusal } from '../refusals/server-refusal.ts';
import type { PostgresTarget, TargetTls } from '../types.ts';
import { readMessage } from '../wire/read-message.ts';
import { targetError } from './target-errors.ts';
import { logInToTarget, type TargetLogin } from './target-login.ts';
import { type Encryption, openTargetSocket, type TargetSocket } from './target-socket.ts';

export interface LoggedInHost extends TargetSocket {
  readonly host: TargetHost;
  readonly login: TargetLogin;
}

export interface LogInToHostOptions {
  readonly target: PostgresTarget;
  readonly startup: ReadonlyMap<string, string>;
  readonly grant: Grant | undefined;
  readonly signal: AbortSignal;
}

type Wanted = Exclude<SessionAttributes, 'prefer-standby'>;

/** @throws HoopError HOOP_TARGET_UNREACHABLE | HOOP_TARGET_LOGIN | HOOP_TARGET_TLS; or the signal's reason. */
export async function logInToHost(options: LogInToHostOptions): Promise<LoggedInHost> {
  const { target } = options;
  const { hosts, sessionAttributes } = target;
  const passes: readonly Wanted[] =
    sessionAttributes === 'prefer-standby' ? ['standby', 'any'] : [sessionAttributes];
  const attempts = passes.flatMap((wanted) => hosts.map((host) => ({ host, wanted })));
  return firstReached(
    target,
    attempts,
    ({ host, wanted }) => logInTo(host, wanted, options),
    mayTryNext,
  );
}

function mayTryNext(error: HoopError): boolean {
  return (
    error.code === 'HOOP_TARGET_UNREACHABLE' || sqlStateOf(error) === SQL_STATE.cannotConnectNow
  );
}

function sqlStateOf(error: HoopError): string | undefined {
  return error.cause instanceof ServerRefusal ? error.cause.sqlState : undefined;
}

async function logInTo(
  host: TargetHost,
  wanted: Wanted,
  options: LogInToHostOptions,
): Promise<LoggedInHost> {
  const { target } = options;
  const deadline = AbortSignal.timeout(target.connectTimeoutMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  const [first, second] = ENCRYPTIONS[target.tls.mode];
  try {
    try {
      return await attempt(host, first, wanted, { ...options, signal });
    } catch (error) {
      // pg_hba.conf may take this user from here only with TLS, or only without.
      if (second === undefined || !isAboutEncryption(error)) throw error;
      return await attempt(host, second, wanted, { ...options, signal });
    }
  } catch (error) {
    if (options.signal.aborted || !deadline.aborted) throw error;
    const text = `The server did not finish the login in ${target.connectTimeoutMs} ms.`;
    throw targetError(target, { code: 'HOOP_TARGET_UNREACHABLE', text, host });
  }
}

const ENCRYPTIONS: {
  readonly [mode in TargetTls['mode']]: readonly [Encryption, Encryption?];
} = {
  disable: ['none'],
  allow: ['none', 'tls'],
  prefer: ['either', 'none'],
  require: ['tls'],
  'verify-ca': ['tls'],
  'verify-full': ['tls'],
};

function isAboutEncryption(error: unknown): boolean {
  const refusal = error instanceof HoopError ? error.cause : undefined;
  return (
    refusal instanceof ServerRefusal &&
    refusal.stage === 'start' &&
    refusal.sqlState === SQL_STATE.invalidAuthorization
  );
}

async function attempt(
  host: TargetHost,
  encryption: Encryption,
  wanted: Wanted,
  { target, startup, grant, signal }: LogInToHostOptions,
): Promise<LoggedInHost> {
  let opened: TargetSocket | undefined;
  try {
    opened = await openTargetSocket({ target, host, encryption, signal });
    const login = await logInToTarget({ ...opened, target, host, startup, grant, signal });
    const unfit = await unfitFor(wanted, opened.socket, login.parameters, signal);
    if (unfit !== undefined) {
      throw targetError(target, { code: 'HOOP_TARGET_UNREACHABLE', text: unfit, host });
    }
    return { ...opened, host, login };
  } catch (error) {
    opened?.socket.destroy();
    throw signal.aborted ? error : named(error, target, host);
  }
}

/** Errors of the codec and of the socket, as errors about the target. */
function named(error: unknown, target: PostgresTarget, host: TargetHost): unknown {
  if (error instanceof ProtocolError) {
    const text = `The server broke the protocol: ${error.message}.`;
    return targetError(target, { code: 'HOOP_TARGET_LOGIN', text, host, cause: error });
  }
  if (!(error instanceof HoopError) || error.message.endsWith(`"${target.name}"`)) return error;
  // Of the stream under it: in TLS 1.3 a server refuses our certificate after the handshake.
  const tls = tlsText(error.cause);
  if (tls !== undefined) {
    return targetError(target, { code: 'HOOP_TARGET_TLS', text: tls, host, cause: error });
  }
  const text = error.cause instanceof Error ? networkText(error.cause) : sentence(error.message);
  // Most often its alert is lost with the connection, and this is all that is left of it.
  const isDoubtful = target.clientCertificate !== undefined && target.tls.mode !== 'disable';
  return targetError(target, {
    code: 'HOOP_TARGET_UNREACHABLE',
    text: isDoubtful ? `${text} It may not trust the gateway’s certificate.` : text,
    host,
    cause: error,
  });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

// What libpq's target_session_attrs asks about a server, on a connection that has just logged in.
// https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS

/**
 * @param attributes `prefer-standby` is for the caller: first `standby`, then `any`.
 * @returns why this server is not the one that is wanted.
 */
async function unfitFor(
  attributes: Exclude<SessionAttributes, 'prefer-standby'>,
  socket: Socket,
  parameters: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (attributes === 'any') {
    return undefined;
  }
  const { isStandby, isReadOnly } = await serverState(socket, parameters, signal);
  switch (attributes) {
    case 'primary':
      return isStandby ? 'The server is a standby.' : undefined;
    case 'standby':
      return isStandby ? undefined : 'The server is not a standby.';
    case 'read-write':
      return isStandby || isReadOnly ? 'The server does not accept writes.' : undefined;
    case 'read-only':
      return isStandby || isReadOnly ? undefined : 'The server accepts writes.';
  }
}

interface ServerState {
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
}

/** Reported by the server since version 14; before that it has to be asked. */
async function serverState(
  socket: Socket,
  parameters: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<ServerState> {
  const standby = parameters.get('in_hot_standby');
  const readOnly = parameters.get('default_transaction_read_only');
  if (standby !== undefined && readOnly !== undefined) {
    return { isStandby: standby === 'on', isReadOnly: readOnly === 'on' };
  }
  const [row] = await rowsOf(socket, STATE, signal);
  return { isStandby: row?.[0] === 't', isReadOnly: row?.[1] === 'on' };
}

const STATE = `SELECT pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('default_transaction_read_only')`;

async function rowsOf(socket: Socket, sql: string, signal: AbortSignal): Promise<string[][]> {
  socket.write(encodeQuery({ sql }));
  const rows: string[][] = [];
  for (;;) {
    const { type, body } = await readMessage(socket, signal);
    if (type === BACKEND.DataRow) {
      rows.push(decodeDataRow(body).values.map((value) => Buffer.from(value ?? '').toString()));
    }
    if (type === BACKEND.ReadyForQuery) {
      return rows;
    }
  }
}
