/**
 * Checks a DPoP proof: that whoever sends a token also holds the key it is bound to, for this one
 * request. https://www.rfc-editor.org/rfc/rfc9449#section-4.3
 */
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify, importJWK } from 'jose';
import * as z from 'zod';
import { HoopError } from '../../../errors.ts';
import { clockWords } from './clock-words.ts';
import type { DpopNonces } from './dpop-nonce.ts';
import { type JwtParts, splitJwt } from './jwt-parts.ts';
import type { ProofReplays, SpentProof } from './proof-replays.ts';
import { tokenError } from './token-error.ts';

/** Freshness comes from the gateway's nonce; this only stops proofs from a clock that is plainly wrong. */
const PROOF_CLOCK_SECONDS = 5 * 60;
const PROOF_ALGORITHMS = ['EdDSA', 'Ed25519', 'ES256'];

/** Public members alone: a proof that carries a private key comes from a client that must not be trusted. */
const PublicJwk = z.union([
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().length(43) }),
  z.strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: z.string().length(43),
    y: z.string().length(43),
  }),
]);

const ProofClaims = z.object({
  // Remembered as it is, so it is short.
  jti: z.string().min(16).max(64),
  htm: z.string(),
  htu: z.string(),
  iat: z.number(),
  nonce: z.string().optional(),
  ath: z.string().optional(),
});

export interface ProofRequest {
  readonly method: string;
  /** Only its path is compared; the origin must be one of `origins`. */
  readonly url: string;
  readonly proof: string | undefined;
  /** The token that the proof must name; undefined where none is sent yet. */
  readonly accessToken: string | undefined;
  /** The key that it must be made with; undefined where any will do. */
  readonly jkt: string | undefined;
}

export interface ProofContext {
  /** How clients may call this gateway, e.g. `https://gw.example.com:8443`. */
  readonly origins: readonly string[];
  readonly nonces: DpopNonces;
  readonly nowMs: number;
}

/**
 * All but whether it was used before: see `spendDpopProof`.
 * @returns with the RFC 7638 thumbprint of the client's key
 * @throws HoopError HOOP_PROOF_…
 */
export async function verifyDpopProof(
  request: ProofRequest,
  context: ProofContext,
): Promise<SpentProof> {
  if (request.proof === undefined || request.proof === '') {
    throw tokenError('HOOP_PROOF_MISSING', 'the request has no proof of its key', {
      detail: 'Tokens of this gateway work only together with a DPoP header.',
    });
  }
  const parts = splitProof(request.proof);
  const jkt = await checkProofSignature(request.proof, parts);
  const claims = parseClaims(parts);
  checkTarget(claims, request, context.origins);
  const now = context.nowMs / 1000;
  const off = claims.iat - now;
  if (Math.abs(off) > PROOF_CLOCK_SECONDS) {
    const most = PROOF_CLOCK_SECONDS / 60;
    throw tokenError(
      'HOOP_PROOF_INVALID',
      'this machine’s clock and the gateway’s are too far apart',
      {
        detail: `${clockWords('This machine’s clock', off, now)} Up to ${most} min are accepted.`,
        hint: 'Set the one that is wrong (NTP); `date -u` shows that of this machine.',
      },
    );
  }
  if (request.jkt !== undefined && jkt !== request.jkt) {
    throw tokenError('HOOP_PROOF_KEY', 'the proof is made with a key that is not the token’s', {
      detail: 'The token is bound to the key of the machine that logged in.',
    });
  }
  if (request.accessToken !== undefined && claims.ath !== sha256(request.accessToken)) {
    throw invalid('It is made for another token.');
  }
  const endsAtMs = claims.nonce === undefined ? undefined : context.nonces.check(claims.nonce);
  if (endsAtMs === undefined) {
    throw tokenError('HOOP_PROOF_NONCE', 'the proof lacks a current nonce of the gateway', {
      hint: 'Send the request again with the nonce in the header DPoP-Nonce.',
    });
  }
  return { jkt, jti: claims.jti, endsAtMs };
}

/**
 * Comes after the token that was sent with it was found good, and before anything is granted:
 * what is remembered costs memory, which nobody may take who has not logged in.
 * @throws HoopError HOOP_PROOF_REPLAYED, HOOP_LIMIT
 */
export function spendDpopProof(proof: SpentProof, replays: ProofReplays, nowMs: number): void {
  const use = replays.use(proof, nowMs);
  if (use === 'replayed') {
    throw tokenError('HOOP_PROOF_REPLAYED', 'the proof has already been used', {
      detail: 'Every request needs a new proof.',
    });
  }
  if (use === 'full') {
    throw new HoopError('HOOP_LIMIT', 'too many requests in a short time', {
      hint: 'Try again in a few minutes.',
    });
  }
}

function splitProof(proof: string): JwtParts {
  try {
    return splitJwt(proof, 'DPoP proof');
  } catch (cause) {
    throw invalid('It is not a signed JSON web token.', { cause });
  }
}

async function checkProofSignature(proof: string, { header }: JwtParts): Promise<string> {
  const jwk = PublicJwk.safeParse(header['jwk']);
  if (header.typ !== 'dpop+jwt' || !PROOF_ALGORITHMS.includes(header.alg) || !jwk.success) {
    throw invalid('Its header names no accepted key and algorithm.');
  }
  try {
    const key = await importJWK(jwk.data, header.alg);
    await compactVerify(proof, key, { algorithms: PROOF_ALGORITHMS });
  } catch (cause) {
    throw invalid('Its signature is wrong.', { cause });
  }
  return calculateJwkThumbprint(jwk.data);
}

function parseClaims({ claims }: JwtParts): z.infer<typeof ProofClaims> {
  const parsed = ProofClaims.safeParse(claims);
  if (!parsed.success) {
    throw invalid('A claim is missing or of the wrong type.');
  }
  return parsed.data;
}

/**
 * The Host header is not asked: an attacker who relays a proof that a client made for the
 * attacker's own server could set it.
 */
function checkTarget(
  claims: z.infer<typeof ProofClaims>,
  request: ProofRequest,
  origins: readonly string[],
): void {
  const target = URL.parse(claims.htu);
  const path = new URL(request.url, 'https://gateway.invalid').pathname;
  if (
    claims.htm !== request.method ||
    target === null ||
    target.pathname !== path ||
    !origins.some((origin) => URL.parse(origin)?.origin === target.origin)
  ) {
    throw tokenError('HOOP_PROOF_TARGET', 'the proof is made for another request', {
      detail: 'It names another method, path or address than this request to this gateway.',
      hint: `This gateway is called ${origins.join(' or ')}; log in to that address with \`hoop login --gateway URL\`.`,
    });
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

function invalid(
  detail: string,
  options: { readonly hint?: string; readonly cause?: unknown } = {},
): HoopError {
  return tokenError('HOOP_PROOF_INVALID', 'the proof of the key is not valid', {
    detail,
    ...options,
  });
}
