/** What hoop keeps of an ID token for the time of a login. */
import * as z from 'zod';
import { principalRoles } from '../../../policy/principal-roles.ts';
import type { Principal } from '../../../policy/types.ts';
import { claimPath, readClaim } from '../../../policy/workloads/claim-path.ts';
import { clientOf, type IdentityProvider, type LoginFlow } from '../identity-provider.ts';
import { isWorkloadName } from '../workload-login.ts';
import { tokenError } from './token-error.ts';

/** OpenID Connect Core §2 limits `sub` to 255; the others are our own bounds for what is stored. */
const MAX_SUBJECT_LENGTH = 255;
const MAX_TEXT_LENGTH = 320;
const MAX_GROUPS = 1000;

export const LoginClaims = z.object({
  issuer: z.string(),
  /** Our client id at the issuer. */
  audience: z.string(),
  sub: z.string(),
  name: z.string(),
  email: z.string().optional(),
  /** The provider says that it has checked the address. Not in older ones. */
  emailVerified: z.literal(true).optional(),
  /** What the policy's `claims.subject` led to, and its words. */
  subject: z.object({ claim: z.string(), value: z.string() }).optional(),
  groups: z.array(z.string()),
  /** Seconds; when the person proved who they are, else when the token was issued. */
  authTime: z.number(),
  /** hex, of the ID token's claims as they were sent. */
  claimsSha256: z.string(),
  /** Id of the person's session at the provider. Not all providers say it. */
  sid: z.string().optional(),
  /** Seconds, by the gateway's clock; when the login began. Not in older ones. */
  startedAt: z.number().optional(),
  /** Absent: in a browser. */
  flow: z.literal('device').optional(),
  /** Seconds; when the provider made the newest ID token of the login. Not in older ones. */
  freshAt: z.number().optional(),
  /** The claim that the policy reads groups from, when the token does not have it. */
  missingGroups: z.string().optional(),
});
export type LoginClaims = z.infer<typeof LoginClaims>;

/** @throws HoopError HOOP_TOKEN_CLAIM */
export function mapLoginClaims(
  claims: Readonly<Record<string, unknown>>,
  provider: IdentityProvider,
  facts: {
    readonly flow: LoginFlow;
    readonly claimsSha256: string;
    readonly issuedAt: number;
    readonly nowSeconds: number;
  },
): LoginClaims {
  const sub = claims['sub'];
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_LENGTH) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the ID token has no usable "sub" claim');
  }
  // An address that the provider itself calls unverified could be anybody's.
  const email =
    claims['email_verified'] === false
      ? undefined
      : readText(claims, provider.claims?.email ?? 'email');
  const subject = readSubject(claims, provider.claims?.subject);
  const name =
    [
      email,
      readText(claims, 'preferred_username'),
      readText(claims, provider.claims?.name ?? 'name'),
      // Nobody passes for a job by what he calls himself.
    ].find((text) => text !== undefined && !isWorkloadName(text)) ?? sub;
  const groupsClaim = provider.claims?.groups ?? 'groups';
  const groups = readGroups(claims, groupsClaim);
  const authTime = claims['auth_time'] ?? claims['iat'];
  const sid = readText(claims, 'sid');
  return {
    issuer: provider.issuer,
    audience: clientOf(provider, facts.flow) ?? provider.clientId,
    sub,
    name,
    ...(email === undefined ? {} : { email }),
    ...(email !== undefined && isVerified(claims, email) ? { emailVerified: true } : {}),
    ...(subject === undefined ? {} : { subject }),
    groups: groups ?? [],
    ...(groups === undefined ? { missingGroups: groupsClaim } : {}),
    authTime: typeof authTime === 'number' ? authTime : facts.nowSeconds,
    claimsSha256: facts.claimsSha256,
    ...(sid === undefined ? {} : { sid }),
    startedAt: facts.nowSeconds,
    // A clock that is ahead gives nobody more time.
    freshAt: Math.min(facts.issuedAt, facts.nowSeconds),
    ...(facts.flow === 'device' ? { flow: facts.flow } : {}),
  };
}

/** Roles are looked up at each use, so that a policy change acts on people who are logged in. */
export function toPrincipal(
  claims: LoginClaims,
  roles: Readonly<Record<string, readonly string[]>>,
  provider: IdentityProvider,
): Principal {
  const isDevice = claims.flow === 'device';
  const counting = isDevice ? provider.device?.groups : undefined;
  return {
    kind: 'person',
    issuer: claims.issuer,
    sub: claims.sub,
    name: claims.name,
    email: claims.email,
    ...(claims.subject === undefined ? {} : { subject: claims.subject.value }),
    ...(claims.email === undefined || claims.emailVerified !== true
      ? {}
      : { verifiedEmail: claims.email }),
    groups: counting ? claims.groups.filter((group) => counting.includes(group)) : claims.groups,
    roles: isDevice ? [] : principalRoles(roles, claims.groups),
    ...(isDevice ? { viaDevice: true } : {}),
  };
}

/** The claim speaks of `email` and of no other claim. Some providers write it as a string. */
function isVerified(claims: Readonly<Record<string, unknown>>, email: string): boolean {
  const verified = claims['email_verified'];
  return (verified === true || verified === 'true') && claims['email'] === email;
}

/** Votes are told apart by it, so a token without it is nobody's. */
function readSubject(
  claims: Readonly<Record<string, unknown>>,
  claim: string | undefined,
): LoginClaims['subject'] {
  if (claim === undefined) {
    return undefined;
  }
  const value = readText(claims, claim);
  if (value === undefined) {
    throw tokenError('HOOP_TOKEN_CLAIM', `the ID token has no usable "${claim}" claim`, {
      detail: `The policy identifies people by it (\`claims.subject\`). It must be a string of at most ${MAX_TEXT_LENGTH} characters.`,
      hint: 'Have the provider put it into the ID tokens of all its clients for hoop, or name another claim.',
    });
  }
  return { claim, value };
}

function readText(claims: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = readClaim(claims, claimPath('generic', name));
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_LENGTH
    ? value
    : undefined;
}

/**
 * One group may come as a bare string. A claim of another shape is refused rather than read as "none".
 * @returns undefined when the token has no such claim
 */
function readGroups(claims: Readonly<Record<string, unknown>>, name: string): string[] | undefined {
  const value = readClaim(claims, claimPath('generic', name));
  if (value === undefined || value === null) {
    return undefined;
  }
  const groups: unknown[] = Array.isArray(value) ? value : [value];
  const texts = groups.filter(
    (group): group is string => typeof group === 'string' && group.length <= MAX_TEXT_LENGTH,
  );
  if (texts.length !== groups.length || texts.length > MAX_GROUPS) {
    throw tokenError('HOOP_TOKEN_CLAIM', `the ID token has no usable "${name}" claim`, {
      detail: `It must be a list of at most ${MAX_GROUPS} group names of at most ${MAX_TEXT_LENGTH} characters each.`,
      hint: 'Have the provider put fewer groups into it, such as only those that the policy names.',
    });
  }
  return [...new Set(texts)];
}
