import { type ErrorCode, HoopError } from '../../errors.ts';
import { errorBody, statusOf } from '../base/http-errors.ts';

/** What a route handler of this folder answers; whoever mounts it writes it out. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** To be sent as JSON. */
  readonly body: unknown;
}

/** What `Identity` itself throws beside HOOP_TOKEN_… and HOOP_PROOF_…. */
const ABOUT_IDENTITY: ReadonlySet<ErrorCode> = new Set([
  'HOOP_USAGE',
  'HOOP_NOT_LOGGED_IN',
  'HOOP_ACCESS_BLOCKED',
  'HOOP_TOO_LARGE',
  'HOOP_LIMIT',
  'HOOP_RUN_REFUSED',
  'HOOP_WORKLOAD_CLAIM',
  'HOOP_WORKLOAD_EVENT',
  'HOOP_IDP_UNREACHABLE',
]);

/** @returns undefined when the error is not about identity: somebody else must answer for it. */
export function refusalReply(error: unknown, nonce: string): HttpReply | undefined {
  if (!(error instanceof HoopError)) {
    return undefined;
  }
  const isRefusal = error.code.startsWith('HOOP_TOKEN_') || error.code.startsWith('HOOP_PROOF_');
  if (!isRefusal && !ABOUT_IDENTITY.has(error.code)) {
    return undefined;
  }
  const status = isRefusal ? 401 : statusOf(error.code);
  return {
    status,
    headers: {
      'cache-control': 'no-store',
      'dpop-nonce': nonce,
      ...(status === 401 ? { 'www-authenticate': challenge(error.code) } : {}),
    },
    body: errorBody(error),
  };
}

/** https://www.rfc-editor.org/rfc/rfc9449#section-7.1 and §9 */
function challenge(code: ErrorCode): string {
  if (code === 'HOOP_PROOF_NONCE') {
    return 'DPoP error="use_dpop_nonce", algs="EdDSA ES256"';
  }
  const error = code.startsWith('HOOP_PROOF_') ? 'invalid_dpop_proof' : 'invalid_token';
  return `DPoP error="${error}", algs="EdDSA ES256"`;
}
