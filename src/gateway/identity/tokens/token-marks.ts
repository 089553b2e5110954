/**
 * What tells a token that is no ID token, where its header says nothing. An access token may name
 * our client in `aud` and `azp` and be signed with the same key as an ID token; who has one, such as
 * a server that a person has called, must not be able to log in as them.
 */
import type { JwtParts } from './jwt-parts.ts';
import { tokenError } from './token-error.ts';

/** Keycloak's `typ` in the payload; an ID token says `ID`. */
const OTHER_TYPES: ReadonlySet<string> = new Set([
  'bearer',
  'dpop',
  'refresh',
  'offline',
  'logout',
]);
/**
 * What was granted: the business of access tokens. Some providers let an administrator add it to
 * ID tokens, so it counts only where no nonce shows what the token is.
 */
const GRANTED = ['scope', 'scp'] as const;

/** @throws HoopError HOOP_TOKEN_TYPE */
export function refuseOtherTokens(
  claims: JwtParts['claims'],
  { hasNonce }: { readonly hasNonce: boolean },
): void {
  const mark = markOf(claims, hasNonce);
  if (mark !== undefined) {
    throw tokenError('HOOP_TOKEN_TYPE', 'the token is not an ID token', {
      detail: `Its claim "${mark}" marks it as another type, such as an access token.`,
    });
  }
}

function markOf(claims: JwtParts['claims'], hasNonce: boolean): string | undefined {
  const { typ, token_use: use } = claims;
  if (typeof typ === 'string' && OTHER_TYPES.has(typ.toLowerCase())) {
    return 'typ';
  }
  // Amazon Cognito: `id` or `access`.
  if (use !== undefined && use !== 'id') {
    return 'token_use';
  }
  return hasNonce ? undefined : GRANTED.find((name) => claims[name] !== undefined);
}
