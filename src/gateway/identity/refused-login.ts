/** What the log says of a login that was refused: its code, and whose it would have been. */
import { decodeJwt } from 'jose';
import type { ErrorCode } from '../../errors.ts';
import type { RefreshFamily } from './identity-store.ts';

/** A name in a log line; longer ones are nobody's. */
const MAX_LENGTH = 320;
/**
 * Of tokens whose signature was good: nothing gives these codes to a token before. With any other,
 * also one that is yet to come, whatever the token says may have been written by anybody.
 */
const AFTER_SIGNATURE: ReadonlySet<ErrorCode> = new Set([
  'HOOP_TOKEN_AUDIENCE',
  'HOOP_TOKEN_AZP',
  'HOOP_TOKEN_CLAIM',
  'HOOP_TOKEN_EXPIRED',
  'HOOP_TOKEN_NOT_YET_VALID',
  'HOOP_TOKEN_TOO_OLD',
  'HOOP_TOKEN_TOO_LONG',
  'HOOP_TOKEN_NONCE',
  'HOOP_TOKEN_REPLAYED',
  'HOOP_TOKEN_BOUND',
  'HOOP_TOKEN_REVOKED',
  'HOOP_WORKLOAD_CLAIM',
  'HOOP_WORKLOAD_EVENT',
  'HOOP_ACCESS_BLOCKED',
]);

export interface RefusedLogin {
  readonly user?: string | undefined;
  readonly issuer?: string | undefined;
  readonly sub?: string | undefined;
  /** Whether its issuer says so; else the token alone does. */
  readonly verified?: boolean;
  /** Address that the request came from. */
  readonly from?: string;
}

/** @param token as it was sent */
export function refusedToken(token: string | null, code: ErrorCode): RefusedLogin {
  try {
    const claims = decodeJwt(token ?? '');
    const user = claims['email'] ?? claims['preferred_username'] ?? claims['name'] ?? claims.sub;
    const { iss, sub } = claims;
    const verified = AFTER_SIGNATURE.has(code);
    return { user: text(user), issuer: text(iss), sub: text(sub), verified };
  } catch {
    return { verified: false };
  }
}

export function refusedRefresh({ issuer, sub, claims }: RefreshFamily): RefusedLogin {
  const stored: unknown = JSON.parse(claims);
  const name = typeof stored === 'object' && stored !== null && 'name' in stored && stored.name;
  return { user: text(name) ?? sub, issuer, sub, verified: true };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, MAX_LENGTH) : undefined;
}
