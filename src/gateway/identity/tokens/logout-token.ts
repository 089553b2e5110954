/**
 * Checks the token with which an identity provider says that somebody is logged out there.
 * https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
 */
import { createHash } from 'node:crypto';
import type { IdentityProvider } from '../identity-provider.ts';
import { clockWords, endedWords } from './clock-words.ts';
import type { JwksCache } from './jwks-cache.ts';
import { type JwtParts, splitJwt } from './jwt-parts.ts';
import { tokenError } from './token-error.ts';
import { checkSignature } from './token-signature.ts';

/** How far clocks may differ. */
const LEEWAY_SECONDS = 60;
/** It is sent as it is made; OpenID asks for an end two minutes later at most. */
const MAX_AGE_SECONDS = 10 * 60;
/** OpenID Connect Core §2 limits `sub` to 255; of the others nothing is said. */
const MAX_TEXT_LENGTH = 320;
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Whom it is about. At least one of the two is there. */
export interface LoggedOut {
  readonly issuer: string;
  readonly sub: string | undefined;
  /** One session of theirs at the provider; undefined: all. */
  readonly sid: string | undefined;
}

export interface VerifiedLogoutToken extends LoggedOut {
  /** Seconds: what began later is not meant. */
  readonly issuedAt: number;
  /** Of issuer and `jti`. */
  readonly digest: string;
  /** After this the token is refused by its own times; its digest can be forgotten. */
  readonly refusedAfterMs: number;
}

/** @throws HoopError HOOP_TOKEN_…, HOOP_IDP_UNREACHABLE */
export async function verifyLogoutToken(
  token: string,
  context: {
    readonly providers: readonly IdentityProvider[];
    readonly keys: JwksCache;
    readonly nowMs: number;
  },
): Promise<VerifiedLogoutToken> {
  const parts = splitJwt(token, 'logout token');
  checkKind(parts);
  const { claims } = parts;
  const provider = context.providers.find(({ issuer }) => issuer === claims['iss']);
  if (provider === undefined) {
    throw tokenError('HOOP_TOKEN_ISSUER', 'the logout token comes from an unknown issuer');
  }
  // First: what is refused behind it is told as the provider's word.
  await checkSignature('logout token', token, parts, { provider, keys: context.keys });
  checkAudience(claims, provider);
  const times = checkTimes(claims, Math.floor(context.nowMs / 1000));
  const { issuer } = provider;
  const sub = readText(claims, 'sub');
  const sid = readText(claims, 'sid');
  if (sub === undefined && sid === undefined) {
    throw unusable('sub');
  }
  const jti = readText(claims, 'jti');
  if (jti === undefined) {
    throw unusable('jti');
  }
  return {
    issuer,
    sub,
    sid,
    ...times,
    digest: createHash('sha256')
      .update(JSON.stringify(['logout', issuer, jti]))
      .digest('hex'),
  };
}

/** Of all tokens of a provider only this one ends a login, and it begins none: no nonce. */
function checkKind({ header, claims }: JwtParts): void {
  const type = header.typ?.toLowerCase().replace(/^application\//, '');
  const { events, nonce } = claims;
  const event =
    typeof events === 'object' && events !== null && Object.hasOwn(events, LOGOUT_EVENT)
      ? Object.entries(events).find(([name]) => name === LOGOUT_EVENT)?.[1]
      : undefined;
  const isEvent = typeof event === 'object' && event !== null && !Array.isArray(event);
  // Providers from before `logout+jwt` was asked for say `JWT`, or nothing.
  const isType = type === undefined || type === 'logout+jwt' || type === 'jwt';
  if (!isType || !isEvent || nonce !== undefined) {
    throw tokenError('HOOP_TOKEN_TYPE', 'the token is not a logout token');
  }
}

function checkAudience(claims: JwtParts['claims'], { clientId, device }: IdentityProvider): void {
  const audience = claims['aud'];
  const audiences: unknown[] = Array.isArray(audience) ? audience : [audience];
  const isOurs = [clientId, device?.clientId].some(
    (client) => client !== undefined && audiences.includes(client),
  );
  if (!isOurs) {
    throw tokenError('HOOP_TOKEN_AUDIENCE', 'the logout token is meant for another application');
  }
}

function checkTimes(
  claims: JwtParts['claims'],
  now: number,
): Pick<VerifiedLogoutToken, 'issuedAt' | 'refusedAfterMs'> {
  const issuedAt = readTime(claims, 'iat');
  const refusedAfter =
    Math.min(readTime(claims, 'exp'), issuedAt + MAX_AGE_SECONDS) + LEEWAY_SECONDS;
  if (refusedAfter <= now) {
    const detail = endedWords(refusedAfter, now);
    throw tokenError('HOOP_TOKEN_EXPIRED', 'the logout token has expired', { detail });
  }
  if (issuedAt > now + LEEWAY_SECONDS) {
    const detail = clockWords('The identity provider’s clock', issuedAt - now, now);
    throw tokenError('HOOP_TOKEN_NOT_YET_VALID', 'the logout token is not valid yet', { detail });
  }
  return { issuedAt, refusedAfterMs: refusedAfter * 1000 };
}

function readTime(claims: JwtParts['claims'], name: string): number {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
    throw unusable(name);
  }
  return value;
}

/** What is there and cannot be used is not read as if it were not there: it might say "all". */
function readText(claims: JwtParts['claims'], name: string): string | undefined {
  const value = claims[name];
  if (value === undefined || value === null) {
    return undefined;
  }
  if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT_LENGTH) {
    throw unusable(name);
  }
  return value;
}

function unusable(name: string): Error {
  return tokenError('HOOP_TOKEN_CLAIM', `the logout token has no usable "${name}" claim`);
}
