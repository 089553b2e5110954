/** Which HTTP status an error has, and its body. The only place of the API that decides this. */

import { errorCode } from '../../error-code.ts';
import { type ErrorCode, HoopError } from '../../errors.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  HOOP_PROTOCOL: 400,
  HOOP_USAGE: 400,
  HOOP_AGENT_UNKNOWN: 400,
  HOOP_NOT_LOGGED_IN: 401,
  HOOP_TOKEN_REVOKED: 401,
  HOOP_TOKEN_EXPIRED: 401,
  HOOP_PROOF_INVALID: 403,
  HOOP_ACCESS_DENIED: 403,
  HOOP_ACCESS_BLOCKED: 403,
  HOOP_WORKLOAD_CLAIM: 403,
  HOOP_WORKLOAD_EVENT: 403,
  HOOP_RUN_REFUSED: 403,
  HOOP_SESSION_UNKNOWN: 404,
  HOOP_GATEWAY_REFUSED: 404,
  HOOP_RECORDING_LOST: 404,
  HOOP_APPROVAL_UNKNOWN: 404,
  HOOP_APPROVAL_SELF: 403,
  HOOP_APPROVAL_VOTED: 409,
  HOOP_APPROVAL_ENDED: 409,
  HOOP_SESSION_ENDED: 409,
  HOOP_SESSION_EXPIRED: 409,
  HOOP_SESSION_REVOKED: 409,
  HOOP_EVENTS_CURSOR: 400,
  HOOP_EVENTS_FORGOTTEN: 410,
  HOOP_EVIDENCE_MISMATCH: 409,
  HOOP_REPAIR_REFUSED: 409,
  HOOP_POLICY_MISMATCH: 409,
  HOOP_VERIFY_INCOMPLETE: 409,
  HOOP_TOO_LARGE: 413,
  HOOP_LIMIT: 429,
  HOOP_CONFIG: 500,
  HOOP_RECORDING_DAMAGED: 500,
  HOOP_RECORDING_FORMAT: 500,
  HOOP_TARGET_UNREACHABLE: 502,
  HOOP_TARGET_LOGIN: 502,
  HOOP_TARGET_TLS: 502,
  HOOP_POLICY_MISSING: 503,
  HOOP_POLICY_BEHIND: 503,
  HOOP_IDP_UNREACHABLE: 503,
  HOOP_UNREACHABLE: 503,
  HOOP_DISK_FULL: 503,
  HOOP_STORE_UNAVAILABLE: 503,
  HOOP_NODE_LOST: 503,
  HOOP_OTHER_NODE: 421,
  HOOP_RECORDING_READING: 503,
  HOOP_RECORDING_WRITE: 503,
};

export interface ErrorReply {
  readonly status: number;
  readonly body: { readonly error: Record<string, string> };
}

/** Of files; the store says so itself. */
function isDiskFull(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** What is not a HoopError is a bug: the client learns the request's id and nothing else. */
export function errorReply(error: unknown, requestId: string): ErrorReply {
  if (isDiskFull(error)) {
    return errorReply(
      new HoopError('HOOP_DISK_FULL', 'the gateway has no disk space left to record', {
        hint: 'Whoever runs the gateway must free space on the disk with its data.',
      }),
      requestId,
    );
  }
  if (!(error instanceof HoopError)) {
    return {
      status: 500,
      body: {
        error: {
          code: 'HOOP_INTERNAL',
          message: 'the gateway failed to handle the request',
          detail: `The gateway's log has the reason under request ${requestId}.`,
        },
      },
    };
  }
  return { status: statusOf(error.code), body: errorBody(error) };
}

export function statusOf(code: ErrorCode): number {
  return STATUS[code] ?? 500;
}

export function errorBody({ code, message, detail, hint }: HoopError): ErrorReply['body'] {
  return {
    error: {
      code,
      message,
      ...(detail === undefined ? {} : { detail }),
      ...(hint === undefined ? {} : { hint }),
    },
  };
}
