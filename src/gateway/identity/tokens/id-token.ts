/**
 * Checks an ID token as OpenID Connect Core §3.1.3.7 asks a client to, and a little more: it must
 * be young, since it is spent at once. https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
 */
import { createHash } from 'node:crypto';
import type { IdentityProvider, LoginFlow } from '../identity-provider.ts';
import { clockWords, endedWords } from './clock-words.ts';
import type { JwksCache } from './jwks-cache.ts';
import { type JwtParts, MAX_PLATFORM_TOKEN_LENGTH, splitJwt } from './jwt-parts.ts';
import { type LoginClaims, mapLoginClaims } from './login-claims.ts';
import { tokenError } from './token-error.ts';
import { refuseOtherTokens } from './token-marks.ts';
import { checkSignature } from './token-signature.ts';

/** How far clocks may differ. */
const LEEWAY_SECONDS = 60;
/** A person's ID token is exchanged right after the login. */
const MAX_ID_TOKEN_AGE_SECONDS = 10 * 60;

export interface IdTokenContext {
  readonly providers: readonly IdentityProvider[];
  readonly keys: JwksCache;
  readonly nowMs: number;
  /**
   * Of a login in the browser: checks the `nonce` claim, and says when the nonce ends, ms.
   * undefined: the token is one of a provider's answer to a refresh token, where nonces are optional.
   */
  readonly nonce: ((claim: unknown) => number) | undefined;
}

export interface VerifiedIdToken {
  readonly claims: LoginClaims;
  /** After this the token is refused by its own times; its digest can be forgotten. */
  readonly refusedAfterMs: number;
  /** Of the login's nonce, ms; undefined: the login has none, as those by device code. */
  readonly nonceEndsAtMs: number | undefined;
}

/** @throws HoopError HOOP_TOKEN_… */
export async function verifyIdToken(
  token: string,
  context: IdTokenContext,
): Promise<VerifiedIdToken> {
  const parts = splitJwt(token, 'ID token', MAX_PLATFORM_TOKEN_LENGTH);
  checkType(parts);
  const provider = findProvider(parts, context.providers);
  await checkSignature('ID token', token, parts, { provider, keys: context.keys });
  const flow = checkAudience(parts.claims, provider);
  // RFC 8628 has no nonce: those logins are told from access tokens by what they say alone.
  const hasNonce = flow === 'browser' && context.nonce !== undefined;
  refuseOtherTokens(parts.claims, { hasNonce });
  const nonceEndsAtMs = hasNonce ? context.nonce?.(parts.claims['nonce']) : undefined;
  const { expiresAt, issuedAt } = checkTimes(parts.claims, Math.floor(context.nowMs / 1000));
  return {
    claims: mapLoginClaims(parts.claims, provider, {
      flow,
      claimsSha256: createHash('sha256').update(parts.claimsBytes).digest('hex'),
      issuedAt,
      nowSeconds: Math.floor(context.nowMs / 1000),
    }),
    refusedAfterMs: (expiresAt + LEEWAY_SECONDS) * 1000,
    nonceEndsAtMs,
  };
}

/** RFC 9068 §2.1 marks access tokens, RFC 9449 §4.2 proofs; an ID token is `JWT` or says nothing. */
function checkType({ header }: JwtParts): void {
  const type = header.typ?.toLowerCase().replace(/^application\//, '');
  if (type !== undefined && type !== 'jwt') {
    throw tokenError('HOOP_TOKEN_TYPE', 'the token is not an ID token', {
      detail: 'Its header names another type, such as an access token.',
    });
  }
}

/** The configured list is searched for the issuer; the token only picks among its entries. */
function findProvider(
  { claims }: JwtParts,
  providers: readonly IdentityProvider[],
): IdentityProvider {
  const provider = providers.find(({ issuer }) => issuer === claims['iss']);
  if (provider === undefined) {
    throw tokenError('HOOP_TOKEN_ISSUER', 'the ID token comes from an unknown issuer', {
      detail: 'The policy in force does not name this issuer as an identity provider.',
      hint: 'Check `identityProviders` in the policy, then log in again with `hoop login`.',
    });
  }
  return provider;
}

/**
 * Which of our clients it was made for. The client for device codes is looked for first: a token
 * that names both is one of the kind that gives less.
 */
function checkAudience(claims: JwtParts['claims'], provider: IdentityProvider): LoginFlow {
  const audience = claims['aud'];
  const audiences: unknown[] = Array.isArray(audience) ? audience : [audience];
  const device = provider.device?.clientId;
  const flow = device !== undefined && audiences.includes(device) ? 'device' : 'browser';
  const clientId = flow === 'device' ? device : provider.clientId;
  if (!audiences.includes(clientId)) {
    throw tokenError('HOOP_TOKEN_AUDIENCE', 'the ID token is meant for another application', {
      detail: `Its audience does not contain the client id "${clientId}".`,
    });
  }
  const azp = claims['azp'];
  if (azp === undefined ? audiences.length > 1 : azp !== clientId) {
    throw tokenError('HOOP_TOKEN_AZP', 'the ID token was issued to another application', {
      detail: `Its authorized party (azp) is not the client id "${clientId}".`,
    });
  }
  return flow;
}

/** @returns in seconds */
function checkTimes(
  claims: JwtParts['claims'],
  now: number,
): { readonly expiresAt: number; readonly issuedAt: number } {
  const expiresAt = readTime(claims, 'exp');
  const issuedAt = readTime(claims, 'iat');
  const notBefore = claims['nbf'] === undefined ? issuedAt : readTime(claims, 'nbf');
  if (expiresAt + LEEWAY_SECONDS <= now) {
    throw tokenError('HOOP_TOKEN_EXPIRED', 'the ID token has expired', {
      detail: endedWords(expiresAt, now),
      hint: 'Log in again; if that says the same, set the clock of the gateway or of the identity provider (NTP).',
    });
  }
  const begins = Math.max(notBefore, issuedAt);
  if (begins > now + LEEWAY_SECONDS) {
    throw tokenError('HOOP_TOKEN_NOT_YET_VALID', 'the ID token is not valid yet', {
      detail: `${clockWords('The identity provider’s clock', begins - now, now)} Up to ${LEEWAY_SECONDS} s are accepted.`,
      hint: 'Whoever runs them sets the one that is wrong (NTP).',
    });
  }
  if (issuedAt + MAX_ID_TOKEN_AGE_SECONDS + LEEWAY_SECONDS < now) {
    throw tokenError('HOOP_TOKEN_TOO_OLD', 'the ID token is too old', {
      detail: `It must be exchanged within ${MAX_ID_TOKEN_AGE_SECONDS / 60} minutes of the login. ${endedWords(issuedAt + MAX_ID_TOKEN_AGE_SECONDS, now)}`,
    });
  }
  return { expiresAt, issuedAt };
}

function readTime(claims: JwtParts['claims'], name: string): number {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw tokenError('HOOP_TOKEN_CLAIM', `the ID token has no usable "${name}" claim`);
  }
  return value;
}
