/**
 * Checks a token with which a platform speaks for one of its workloads. Where the keys are and what
 * must be in it comes from the policy; the token only picks among its entries.
 */
import { createHash } from 'node:crypto';
import {
  compactVerify,
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose';
import { HoopError } from '../../../errors.ts';
import { claimText } from '../../../policy/workloads/claim-text.ts';
import type { PinnedKeySet, WorkloadRule } from '../../../policy/workloads/workload-rule.ts';
import { SIGNATURE_ALGORITHMS } from '../identity-provider.ts';
import type { WorkloadClaims } from '../workload-login.ts';
import { clockWords, endedWords } from './clock-words.ts';
import type { JwksCache } from './jwks-cache.ts';
import { type JwtParts, MAX_PLATFORM_TOKEN_LENGTH, splitJwt } from './jwt-parts.ts';
import { tokenError } from './token-error.ts';

/** How far clocks may differ. */
const LEEWAY_SECONDS = 60;
/** Until it expires it is remembered which key it belongs to, and a stolen one is of use. */
const MAX_REMAINING_SECONDS = 24 * 60 * 60;
/** SPIFFE IDs may have 2048 bytes. */
const MAX_SUBJECT_LENGTH = 2048;
const MAX_AUDIENCES = 10;

export interface WorkloadTokenContext {
  readonly rules: readonly WorkloadRule[];
  readonly keys: JwksCache;
  readonly nowMs: number;
}

export interface VerifiedWorkloadToken {
  readonly claims: WorkloadClaims;
  /** After this the token is refused by its own times. */
  readonly refusedAfterMs: number;
}

/**
 * Everything but whether an entry fits: see `admitWorkload`.
 * @throws HoopError HOOP_TOKEN_…, HOOP_IDP_UNREACHABLE
 */
export async function verifyWorkloadToken(
  token: string,
  context: WorkloadTokenContext,
): Promise<VerifiedWorkloadToken> {
  const parts = splitJwt(token, 'workload token', MAX_PLATFORM_TOKEN_LENGTH);
  checkHeader(parts);
  const trusted = candidates(parts, context.rules);
  const rule = await findSigner(token, parts, trusted, context.keys);
  const now = Math.floor(context.nowMs / 1000);
  const expiresAt = checkTimes(parts.claims, now);
  const { sub, iat } = parts.claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_LENGTH) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the workload token has no usable "sub" claim');
  }
  return {
    claims: {
      kind: 'workload',
      issuer: rule.issuer,
      keySource: rule.keySource,
      audiences: readAudiences(parts.claims['aud']),
      sub,
      claims: { ...parts.claims },
      authTime: typeof iat === 'number' && Number.isInteger(iat) && iat >= 0 ? iat : now,
      claimsSha256: createHash('sha256').update(parts.claimsBytes).digest('hex'),
    },
    refusedAfterMs: (expiresAt + LEEWAY_SECONDS) * 1000,
  };
}

/** Refusals that are not about a person's login must not say that one should log in again. */
export function asWorkloadError(error: unknown): unknown {
  return error instanceof HoopError && error.code.startsWith('HOOP_TOKEN_')
    ? new HoopError(error.code, error.message, {
        detail: error.detail,
        hint: '`hoop whoami --explain` shows which token is sent and what it contains.',
        cause: error.cause,
      })
    : error;
}

/** RFC 9068 §2.1 marks access tokens, RFC 9449 §4.2 proofs; JWT-SVID §2.3 allows JWT and JOSE. */
function checkHeader({ header }: JwtParts): void {
  const type = header.typ?.toLowerCase().replace(/^application\//, '');
  if (type !== undefined && type !== 'jwt' && type !== 'jose') {
    throw tokenError('HOOP_TOKEN_TYPE', 'the token is not an identity token', {
      detail: 'Its header names another type, such as an access token.',
    });
  }
  // `none` and shared secrets are never a signature, whatever keys there are.
  if (!SIGNATURE_ALGORITHMS.includes(header.alg)) {
    throw tokenError(
      'HOOP_TOKEN_ALGORITHM',
      'the workload token is signed in a way that is not allowed',
      { detail: `Allowed are ${SIGNATURE_ALGORITHMS.join(', ')}.` },
    );
  }
}

/** Byte for byte: with a slash more it is another issuer. */
function candidates(
  { claims }: JwtParts,
  rules: readonly WorkloadRule[],
): readonly [WorkloadRule, ...WorkloadRule[]] {
  const { iss, sub } = claims;
  // JWT-SVIDs need no issuer; their trust domain is in the subject, and its keys are pinned.
  const domain = typeof sub === 'string' ? /^spiffe:\/\/[^/]+/.exec(sub)?.[0] : undefined;
  const [first, ...others] = rules.filter(
    ({ issuer, platform }) =>
      issuer === iss || (platform === 'spiffe' && domain !== undefined && issuer === domain),
  );
  if (first === undefined) {
    const meant = rules.find(
      ({ issuer }) => typeof iss === 'string' && withoutSlash(issuer) === withoutSlash(iss),
    );
    throw tokenError('HOOP_TOKEN_ISSUER', 'the workload token comes from an unknown issuer', {
      detail:
        meant === undefined
          ? `No entry of workloads in the policy in force names "${claimText(iss)}".`
          : `It says "${claimText(iss)}", the policy "${meant.issuer}": the trailing slash matters.`,
    });
  }
  return [first, ...others];
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/+$/, '');
}

/** @returns an entry whose keys the signature was made with; others may trust the same keys */
async function findSigner(
  token: string,
  parts: JwtParts,
  trusted: readonly [WorkloadRule, ...WorkloadRule[]],
  keys: JwksCache,
): Promise<WorkloadRule> {
  const sources = new Map(trusted.map((rule) => [rule.keySource, rule]));
  let refusal: HoopError | undefined;
  for (const rule of sources.values()) {
    const problem = await signatureProblem(token, parts, rule, keys);
    if (problem === undefined) {
      return rule;
    }
    // A wrong signature by a known key says more than a key that is not there.
    refusal = problem.code === 'HOOP_TOKEN_SIGNATURE' ? problem : (refusal ?? problem);
  }
  throw refusal ?? new TypeError('an issuer without entries');
}

async function signatureProblem(
  token: string,
  { header }: JwtParts,
  rule: WorkloadRule,
  keys: JwksCache,
): Promise<HoopError | undefined> {
  const find: JWTVerifyGetKey =
    rule.jwks === undefined
      ? (found, input) => keys.key(rule.issuer, found, input)
      : pinnedKeys(rule.jwks);
  try {
    await compactVerify(token, find, { algorithms: [header.alg] });
    return undefined;
  } catch (cause) {
    if (cause instanceof HoopError && cause.code === 'HOOP_IDP_UNREACHABLE') {
      return cause;
    }
    if (cause instanceof errors.JWSSignatureVerificationFailed) {
      return tokenError('HOOP_TOKEN_SIGNATURE', 'the signature of the workload token is wrong', {
        cause,
      });
    }
    return tokenError(
      'HOOP_TOKEN_KEY',
      'the workload token is not signed with a key of its issuer',
      {
        detail:
          rule.jwks === undefined
            ? 'The key set that the issuer publishes has no single key for it.'
            : `The keys that the entry "${rule.name}" pins have no single one for it.`,
        cause,
      },
    );
  }
}

const pinned = new WeakMap<PinnedKeySet, JWTVerifyGetKey>();

function pinnedKeys(jwks: PinnedKeySet): JWTVerifyGetKey {
  const known = pinned.get(jwks);
  if (known !== undefined) {
    return known;
  }
  const set: JSONWebKeySet = { keys: jwks.keys.map(forSignatures) };
  const lookup = createLocalJWKSet(set);
  pinned.set(jwks, lookup);
  return lookup;
}

/** SPIFFE bundles say `use: jwt-svid`, which jose does not know: SPIFFE Trust Domain and Bundle §4.2.2. */
function forSignatures({ use, ...key }: PinnedKeySet['keys'][number]): JWK {
  const { kid, ...rest } = key;
  return {
    ...rest,
    ...(kid === undefined ? {} : { kid }),
    ...(typeof use === 'string' ? { use: use === 'jwt-svid' ? 'sig' : use } : {}),
  };
}

/** @returns `exp`, in seconds */
function checkTimes(claims: JwtParts['claims'], now: number): number {
  const expiresAt = readTime(claims, 'exp');
  if (expiresAt === undefined) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the workload token has no usable "exp" claim');
  }
  if (expiresAt + LEEWAY_SECONDS <= now) {
    throw tokenError('HOOP_TOKEN_EXPIRED', 'the workload token has expired', {
      detail: endedWords(expiresAt, now),
    });
  }
  if (expiresAt > now + MAX_REMAINING_SECONDS) {
    throw tokenError('HOOP_TOKEN_TOO_LONG', 'the workload token is valid for too long', {
      detail: `The maximum is ${MAX_REMAINING_SECONDS / 3600} hours, because whoever finds it could use it.`,
    });
  }
  const begins = Math.max(readTime(claims, 'nbf') ?? 0, readTime(claims, 'iat') ?? 0);
  if (begins > now + LEEWAY_SECONDS) {
    throw tokenError('HOOP_TOKEN_NOT_YET_VALID', 'the workload token is not valid yet', {
      detail: clockWords('Its platform’s clock', begins - now, now),
    });
  }
  return expiresAt;
}

/** @throws HoopError HOOP_TOKEN_CLAIM when it is there and is no time */
function readTime(claims: JwtParts['claims'], name: string): number | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > 1e11) {
    throw tokenError('HOOP_TOKEN_CLAIM', `the workload token has no usable "${name}" claim`);
  }
  return value;
}

function readAudiences(value: unknown): readonly string[] {
  const audiences: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = audiences.filter((audience): audience is string => typeof audience === 'string');
  if (texts.length !== audiences.length || texts.length > MAX_AUDIENCES) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the workload token has no usable "aud" claim');
  }
  return texts;
}
