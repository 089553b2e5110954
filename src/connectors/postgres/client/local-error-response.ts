/**
 * Errors of the client itself as the local program sees them. After FATAL the connection closes.
 * What the gateway says goes through as it is; this is for what never got there.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */

import type { ErrorCode, HoopError } from '../../../errors.ts';
import { encodeErrorResponse, reportFields } from '../protocol/report-fields.ts';
import { SQL_STATE } from '../sql-state.ts';

const SQL_STATES: { readonly [code in ErrorCode]?: string } = {
  HOOP_SESSION_ENDED: SQL_STATE.adminShutdown,
  HOOP_SESSION_EXPIRED: SQL_STATE.adminShutdown,
  HOOP_SESSION_REVOKED: SQL_STATE.adminShutdown,
  HOOP_INTERRUPTED: SQL_STATE.adminShutdown,
  HOOP_LIMIT: SQL_STATE.tooManyConnections,
  HOOP_PROTOCOL: SQL_STATE.protocolViolation,
  HOOP_DISK_FULL: SQL_STATE.diskFull,
  HOOP_RECORDING_WRITE: SQL_STATE.ioError,
  HOOP_EVIDENCE_MISMATCH: SQL_STATE.systemError,
};

export function fatalResponse(error: HoopError): Uint8Array {
  return encodeFatal({
    sqlState: SQL_STATES[error.code] ?? SQL_STATE.connectionFailure,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
    code: error.code,
  });
}

export function encodeFatal(report: {
  readonly sqlState: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly code: ErrorCode;
}): Uint8Array {
  const fields = new Map(
    reportFields({
      severity: 'FATAL',
      sqlState: report.sqlState,
      message: clean(report.message),
      detail: report.detail === undefined ? undefined : clean(report.detail),
      hint: report.hint === undefined ? undefined : clean(report.hint),
    }),
  );
  // Where the gateway puts it as well: `\errverbose` and drivers show it.
  fields.set('F', 'hoop').set('R', report.code);
  return encodeErrorResponse({ fields });
}

function clean(text: string): string {
  return text.toWellFormed().replaceAll('\0', '');
}
