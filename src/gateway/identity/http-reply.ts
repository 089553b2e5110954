import { type ErrorCode, HoopError } from '../../errors.ts';

/** What a route handler of this folder answers; whoever mounts it writes it out. */
export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** To be sent as JSON. */
  readonly body: unknown;
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  HOOP_USAGE: 400,
  HOOP_NOT_LOGGED_IN: 401,
  HOOP_TOO_LARGE: 413,
  HOOP_LIMIT: 429,
  HOOP_IDP_UNREACHABLE: 503,
};

/** @returns undefined when the error is not about identity: somebody else must answer for it. */
export function refusalReply(error: unknown, nonce: string): HttpReply | undefined {
  if (!(error instanceof HoopError)) {
    return undefined;
  }
  const aboutIdentity =
    error.code.startsWith('HOOP_TOKEN_') || error.code.startsWith('HOOP_PROOF_');
  const status = aboutIdentity ? 401 : STATUS[error.code];
  if (status === undefined) {
    return undefined;
  }
  return {
    status,
    headers: {
      'cache-control': 'no-store',
      'dpop-nonce': nonce,
      ...(status === 401 ? { 'www-authenticate': challenge(error.code) } : {}),
    },
    body: {
      error: {
        code: error.code,
        message: error.message,
        ...(error.detail === undefined ? {} : { detail: error.detail }),
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      },
    },
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
