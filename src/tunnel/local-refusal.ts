/** Why a connection to the local port was refused; what `hoop connect` counts. */
export type RefusalReason =
  | 'HTTP'
  | 'direct TLS'
  | 'failed TLS handshake'
  | 'data before TLS'
  | 'no TLS'
  | 'another user'
  | 'garbage'
  | 'unsupported protocol version'
  | 'malformed login'
  | 'no password'
  | 'wrong password'
  | 'login timeout'
  | 'too many connections'
  | 'too many login attempts'
  | 'weak algorithms'
  | 'unknown cancel key';

export class LocalRefusal extends Error {
  readonly reason: RefusalReason;
  /** An ErrorResponse; undefined: close without a word, because the peer speaks no PostgreSQL. */
  readonly answer: Uint8Array | undefined;

  constructor(reason: RefusalReason, answer?: Uint8Array) {
    super(`connection refused: ${reason}`);
    this.name = 'LocalRefusal';
    this.reason = reason;
    this.answer = answer;
  }
}
