/**
 * The one error class that users see, and the list of its codes.
 *
 * Branch on `code`, never on text. Text follows PostgreSQL's error message style, since psql
 * prints ours: `message` says what happened (lower case, one line, no period), `detail` why,
 * `hint` what to do (both full sentences). Never put SQL literals, Bind values, tokens or row
 * data into any of them. `docs/errors.md` lists every code; a test compares the two.
 */
export const ERROR_CODES = [
  // the command line and local state
  'HOOP_USAGE',
  'HOOP_CONFIG',
  'HOOP_LOCAL_STATE',
  'HOOP_MISSING_PROGRAM',
  'HOOP_EVENTS_CURSOR',
  'HOOP_EVENTS_FORGOTTEN',
  'HOOP_FENCE',
  'HOOP_CHANGES_OWED',
  'HOOP_CHECK_FAILED',
  'HOOP_INTERRUPTED',
  'HOOP_SYSTEM',
  'HOOP_INTERNAL',
  // identity
  'HOOP_NOT_LOGGED_IN',
  'HOOP_LOGIN_FAILED',
  'HOOP_TOKEN_EXPIRED',
  'HOOP_TOKEN_NOT_YET_VALID',
  'HOOP_TOKEN_TOO_OLD',
  'HOOP_TOKEN_TOO_LONG',
  'HOOP_TOKEN_REPLAYED',
  'HOOP_TOKEN_BOUND',
  'HOOP_TOKEN_AUDIENCE',
  'HOOP_TOKEN_ISSUER',
  'HOOP_TOKEN_AZP',
  'HOOP_TOKEN_TYPE',
  'HOOP_TOKEN_NONCE',
  'HOOP_TOKEN_STALE',
  'HOOP_TOKEN_ALGORITHM',
  'HOOP_TOKEN_SIGNATURE',
  'HOOP_TOKEN_KEY',
  'HOOP_TOKEN_CLAIM',
  'HOOP_TOKEN_MALFORMED',
  'HOOP_TOKEN_REVOKED',
  'HOOP_PROOF_MISSING',
  'HOOP_PROOF_INVALID',
  'HOOP_PROOF_TARGET',
  'HOOP_PROOF_KEY',
  'HOOP_PROOF_REPLAYED',
  'HOOP_PROOF_NONCE',
  'HOOP_IDP_UNREACHABLE',
  'HOOP_WORKLOAD_TOKEN',
  'HOOP_WORKLOAD_CLAIM',
  'HOOP_WORKLOAD_EVENT',
  // the way to the gateway and to the target
  'HOOP_UNREACHABLE',
  'HOOP_PROXY',
  'HOOP_GATEWAY_TLS',
  'HOOP_GATEWAY_KEY',
  'HOOP_GATEWAY_REFUSED',
  'HOOP_GATEWAY_BAD_REPLY',
  'HOOP_TARGET_UNREACHABLE',
  'HOOP_TARGET_LOGIN',
  'HOOP_TARGET_TLS',
  'HOOP_TARGET_HOST_KEY',
  'HOOP_LOCAL_PORT',
  // policy
  'HOOP_POLICY_INVALID',
  'HOOP_POLICY_UNSIGNED',
  'HOOP_POLICY_SIGNER',
  'HOOP_POLICY_REWOUND',
  'HOOP_POLICY_FETCH',
  'HOOP_POLICY_MISSING',
  'HOOP_POLICY_BEHIND',
  'HOOP_POLICY_MISMATCH',
  'HOOP_ACCESS_DENIED',
  'HOOP_ACCESS_BLOCKED',
  'HOOP_AGENT_UNKNOWN',
  'HOOP_RUN_REFUSED',
  'HOOP_RUN_UNKNOWN',
  'HOOP_RUN_GONE',
  'HOOP_CONTEXT_REFUSED',
  // decisions about a statement
  'HOOP_DENIED',
  'HOOP_NOT_ALLOWED',
  'HOOP_UNPARSED',
  'HOOP_UNTRACEABLE',
  'HOOP_MASKED_WRITE',
  'HOOP_SETTING',
  'HOOP_ENCODING',
  'HOOP_MESSAGE_REFUSED',
  'HOOP_APPROVAL_UNAVAILABLE',
  'HOOP_APPROVAL_PENDING',
  'HOOP_APPROVAL_DENIED',
  'HOOP_APPROVAL_EXPIRED',
  'HOOP_APPROVAL_VOID',
  'HOOP_LIMIT',
  'HOOP_LOOKUPS',
  'HOOP_ROWS',
  'HOOP_RESULT_MISMATCH',
  // deciding about a request
  'HOOP_APPROVAL_UNKNOWN',
  'HOOP_APPROVAL_SELF',
  'HOOP_APPROVAL_VOTED',
  'HOOP_APPROVAL_ENDED',
  // protocols
  'HOOP_PROTOCOL',
  'HOOP_TOO_LARGE',
  // sessions and evidence
  'HOOP_SESSION_UNKNOWN',
  'HOOP_SESSION_ENDED',
  'HOOP_SESSION_EXPIRED',
  'HOOP_SESSION_REVOKED',
  'HOOP_STORE_UNAVAILABLE',
  'HOOP_NODE_LOST',
  'HOOP_OTHER_NODE',
  'HOOP_DISK_FULL',
  'HOOP_RECORDING_LOST',
  'HOOP_SEARCH_INCOMPLETE',
  'HOOP_RECORDING_READING',
  'HOOP_RECORDING_WRITE',
  'HOOP_RECORDING_DAMAGED',
  'HOOP_RECORDING_FORMAT',
  'HOOP_EVIDENCE_MISMATCH',
  'HOOP_REPAIR_REFUSED',
  'HOOP_UPLOAD_FAILED',
  'HOOP_NOT_A_RECORDING',
  'HOOP_VERIFY_FAILED',
  'HOOP_VERIFY_UNTRUSTED',
  'HOOP_VERIFY_INCOMPLETE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface HoopErrorOptions {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class HoopError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: HoopErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HoopError';
    this.code = code;
    this.detail = options.detail;
    this.hint = options.hint;
  }
}

/** Bytes that the protocol does not allow. The connection that sent them cannot go on. */
export class ProtocolError extends HoopError {
  constructor(message: string, options: HoopErrorOptions = {}) {
    super('HOOP_PROTOCOL', message, options);
    this.name = 'ProtocolError';
  }
}
