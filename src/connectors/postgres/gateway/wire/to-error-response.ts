/**
 * The one place where an error of the gateway becomes an ErrorResponse, so that every refusal looks
 * the same: message, DETAIL, HINT and SQLSTATE as PostgreSQL has them, and the stable HOOP_ code in
 * the routine field, where `\errverbose` and drivers show it and no translation changes it.
 * https://www.postgresql.org/docs/18/protocol-error-fields.html
 */
import { HoopError } from '../../../../errors.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { encodeErrorResponse, reportFields } from '../../protocol/report-fields.ts';
import { BYTES, type TextCodec, UTF8 } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { ServerRefusal, type ServerWords } from '../refusals/server-refusal.ts';
import { wholeMessage } from './whole-message.ts';

/** An error in the server's own words, where the gateway answers in its place. */
export interface NativeError {
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly position?: number | undefined;
}

export interface ErrorResponseOptions {
  /** Default ERROR. After FATAL the connection must be closed. */
  readonly severity?: 'ERROR' | 'FATAL';
  /** client_encoding of the connection. Default UTF-8. */
  readonly codec?: TextCodec | undefined;
  /** The message of a refusal has the rule and the hint in it, too. */
  readonly isWhole?: boolean | undefined;
}

/** Classes: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const SQL_STATES: Readonly<Record<string, string>> = {
  HOOP_SESSION_ENDED: SQL_STATE.adminShutdown,
  HOOP_SESSION_EXPIRED: SQL_STATE.adminShutdown,
  HOOP_SESSION_REVOKED: SQL_STATE.adminShutdown,
  HOOP_TOKEN_EXPIRED: SQL_STATE.adminShutdown,
  HOOP_TOKEN_REVOKED: SQL_STATE.adminShutdown,
  HOOP_INTERRUPTED: SQL_STATE.adminShutdown,
  HOOP_STORE_UNAVAILABLE: SQL_STATE.adminShutdown,
  HOOP_DISK_FULL: SQL_STATE.diskFull,
  HOOP_RECORDING_WRITE: SQL_STATE.ioError,
  HOOP_TARGET_UNREACHABLE: SQL_STATE.cannotEstablishConnection,
  HOOP_TARGET_LOGIN: SQL_STATE.cannotEstablishConnection,
  HOOP_TARGET_TLS: SQL_STATE.cannotEstablishConnection,
  HOOP_PROTOCOL: SQL_STATE.protocolViolation,
  HOOP_TOO_LARGE: SQL_STATE.programLimitExceeded,
  HOOP_LIMIT: SQL_STATE.programLimitExceeded,
  HOOP_ENCODING: SQL_STATE.characterNotInRepertoire,
  HOOP_ACCESS_DENIED: SQL_STATE.insufficientPrivilege,
  HOOP_DENIED: SQL_STATE.insufficientPrivilege,
  HOOP_NOT_ALLOWED: SQL_STATE.insufficientPrivilege,
  HOOP_MESSAGE_REFUSED: SQL_STATE.insufficientPrivilege,
  HOOP_SETTING: SQL_STATE.insufficientPrivilege,
  HOOP_UNTRACEABLE: SQL_STATE.insufficientPrivilege,
  HOOP_RESULT_MISMATCH: SQL_STATE.insufficientPrivilege,
};
export function toErrorResponse(
  problem: HoopError | SqlRefusal | NativeError,
  options: ErrorResponseOptions = {},
): Uint8Array {
  const severity = options.severity ?? 'ERROR';
  const words = serversWords(problem) ?? problem;
  const { detail, hint } = words;
  const message =
    options.isWhole === true && 'rule' in problem ? wholeMessage(problem) : words.message;
  const position = 'position' in problem ? problem.position : undefined;
  const sqlState = sqlStateOf(problem);
  const fields = new Map(
    reportFields({ severity, sqlState, message: oneLine(message), detail, hint, position }),
  );
  if ('code' in problem) fields.set('F', 'hoop').set('R', problem.code);
  return encode(fields, options.codec ?? UTF8);
}

function sqlStateOf(problem: HoopError | SqlRefusal | NativeError): string {
  if (problem instanceof HoopError) {
    return refusedFor(problem) ?? SQL_STATES[problem.code] ?? SQL_STATE.internalError;
  }
  return /^[0-9A-Z]{5}$/.test(problem.sqlState) ? problem.sqlState : SQL_STATE.internalError;
}

/** The target's own, where it refused the login for what the client may know. */
function serversWords(problem: HoopError | SqlRefusal | NativeError): ServerWords | undefined {
  const cause = problem instanceof HoopError ? problem.cause : undefined;
  return cause instanceof ServerRefusal ? cause.words : undefined;
}

/** Of several servers the first that may take one in later. */
function refusedFor({ cause }: Error): string | undefined {
  if (cause instanceof ServerRefusal) return cause.isForClient ? cause.sqlState : undefined;
  const causes: readonly unknown[] = cause instanceof AggregateError ? cause.errors : [];
  return causes.flatMap((one) => (one instanceof Error ? (refusedFor(one) ?? []) : []))[0];
}

/** Names come from the catalog and may not exist in client_encoding; an error must still go out. */
function encode(fields: ReadonlyMap<string, string>, codec: TextCodec): Uint8Array {
  const clean = new Map<string, string>();
  for (const [field, text] of fields) clean.set(field, text.toWellFormed().replaceAll('\0', ''));
  try {
    return encodeErrorResponse({ fields: clean }, codec);
  } catch (error) {
    if (!(error instanceof HoopError)) throw error;
    for (const [field, text] of clean) clean.set(field, text.replace(/[^\x20-\x7e\n\t]/gu, '?'));
    return encodeErrorResponse({ fields: clean }, BYTES);
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
