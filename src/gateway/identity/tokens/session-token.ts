/**
 * The gateway's own short-lived token. It names a login and a key and says nothing about the
 * person; that is read from the login at each use, so that a revocation acts at once.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import * as z from 'zod';
import { splitJwt } from './jwt-parts.ts';
import { tokenError } from './token-error.ts';

export const SESSION_TOKEN_SECONDS = 10 * 60;
/** Own type, so that nothing else signed with the gateway's key can pass for one (RFC 8725 §3.11). */
const TYPE = 'hoop-session+jwt';

const SessionClaims = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: z.string(),
  /** The login: id of its refresh family. */
  sid: z.string(),
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
  cnf: z.object({ jkt: z.string() }),
});
export type SessionClaims = z.infer<typeof SessionClaims>;

export async function issueSessionToken(
  claims: SessionClaims,
  signingKey: KeyObject,
): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'EdDSA', typ: TYPE })
    .sign(signingKey);
}

export interface SessionTokenContext {
  readonly signingKey: KeyObject;
  readonly audience: string;
  readonly nowMs: number;
}

/** @throws HoopError HOOP_TOKEN_… */
export async function verifySessionToken(
  token: string,
  context: SessionTokenContext,
): Promise<SessionClaims> {
  const { header, claims } = splitJwt(token, 'session token');
  if (header.typ !== TYPE) {
    throw tokenError('HOOP_TOKEN_TYPE', 'the token is not a session token of this gateway', {
      detail: 'An ID token is exchanged at login and never sent with a request.',
    });
  }
  if (header.alg !== 'EdDSA') {
    throw tokenError(
      'HOOP_TOKEN_ALGORITHM',
      'the session token is signed in a way that is not allowed',
    );
  }
  try {
    await compactVerify(token, createPublicKey(context.signingKey), { algorithms: ['EdDSA'] });
  } catch (cause) {
    throw tokenError('HOOP_TOKEN_SIGNATURE', 'the session token was not issued by this gateway', {
      cause,
    });
  }
  const parsed = SessionClaims.safeParse(claims);
  if (!parsed.success) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the session token lacks a claim');
  }
  if (parsed.data.aud !== context.audience || parsed.data.iss !== context.audience) {
    throw tokenError('HOOP_TOKEN_AUDIENCE', 'the session token is meant for another gateway');
  }
  // No leeway: the same clock wrote it.
  if (parsed.data.exp * 1000 <= context.nowMs) {
    throw tokenError('HOOP_TOKEN_EXPIRED', 'the session token has expired');
  }
  return parsed.data;
}
