/**
 * What a stored login is worth under the policy in force. It is asked at each use: a provider, a role
 * or an entry of `workloads` that a commit takes away ends what it gave at once.
 */
import { durationWords } from '../../duration-words.ts';
import type { Principal } from '../../policy/types.ts';
import type { WorkloadMatch } from '../../policy/workloads/match-workload.ts';
import type { WorkloadRule } from '../../policy/workloads/workload-rule.ts';
import { clientOf, type IdentityProvider, type LoginFlow } from './identity-provider.ts';
import type { RefreshFamily } from './identity-store.ts';
import { loginExpired } from './login-length.ts';
import { LoginClaims, toPrincipal } from './tokens/login-claims.ts';
import { tokenError } from './tokens/token-error.ts';
import { admitWorkload, WorkloadClaims, type WorkloadPolicy } from './workload-login.ts';

/** What of the policy in force says who somebody is. */
export interface LoginPolicy {
  /** Base URLs under which clients may call this gateway. The first is its name in tokens. */
  readonly origins: () => readonly string[];
  readonly providers: () => readonly IdentityProvider[];
  /** Role → groups that give it. */
  readonly roles: () => Readonly<Record<string, readonly string[]>>;
  /** Default: no workload logs in. */
  readonly workloads?: () => readonly WorkloadRule[];
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export interface LoginFacts {
  readonly principal: Principal;
  /** What the token was made out to: our client id at the identity provider. */
  readonly audience: string;
  /** Seconds. */
  readonly authTime: number;
  /** hex */
  readonly claimsSha256: string;
  /** Until when the provider's last word counts, ms; undefined: for the whole login. */
  readonly freshUntilMs?: number;
  /** When the login ends, ms; it may be renewed until then. */
  readonly endsAtMs: number;
  /** The policy says how long a login lasts: its sessions last no longer. */
  readonly endsSessions?: true;
  /** The claim with groups that the token did not have. */
  readonly missingGroups?: string;
  /** How the entries of the policy see a workload. */
  readonly matches?: readonly WorkloadMatch[];
}

/**
 * @throws HoopError HOOP_TOKEN_ISSUER, HOOP_WORKLOAD_… when the policy no longer lets it in;
 * HOOP_TOKEN_EXPIRED when its login is over;
 * HOOP_TOKEN_STALE when the provider must confirm it first
 */
export function loginFacts(family: RefreshFamily, policy: LoginPolicy): LoginFacts {
  const stored: unknown = JSON.parse(family.claims);
  const workload = WorkloadClaims.safeParse(stored);
  if (workload.success) {
    const { authTime, claimsSha256, audiences } = workload.data;
    const admitted = admitWorkload(workload.data, workloadPolicy(policy));
    const endsAtMs = family.expiresAtMs;
    return { ...admitted, audience: audiences.join(' '), authTime, claimsSha256, endsAtMs };
  }
  const login = LoginClaims.parse(stored);
  const provider = policy.providers().find(({ issuer }) => issuer === family.issuer);
  const flow = login.flow ?? 'browser';
  if (provider === undefined || clientOf(provider, flow) !== login.audience) {
    throw tokenError('HOOP_TOKEN_ISSUER', noLonger(provider, flow));
  }
  if (login.subject?.claim !== provider.claims?.subject) {
    throw tokenError('HOOP_TOKEN_CLAIM', 'the login lacks the subject that the policy requires', {
      detail: '`claims.subject` in the policy has changed since the login.',
    });
  }
  const { audience, authTime, claimsSha256, missingGroups } = login;
  const endsAtMs = loginEnd(family, login, provider);
  if (endsAtMs <= policy.clock()) {
    throw loginExpired();
  }
  const freshUntilMs = freshUntil(login.freshAt ?? family.createdAtMs / 1000, provider);
  if (freshUntilMs !== undefined && freshUntilMs <= policy.clock()) {
    throw stale(provider);
  }
  return {
    principal: toPrincipal(login, policy.roles(), provider),
    audience,
    authTime,
    claimsSha256,
    endsAtMs,
    ...(provider.maxTime === undefined ? {} : { endsSessions: true }),
    ...(freshUntilMs === undefined ? {} : { freshUntilMs }),
    ...(missingGroups === undefined ? {} : { missingGroups }),
  };
}

/** These words are also those with which the sessions of the login end. */
function noLonger(provider: IdentityProvider | undefined, flow: LoginFlow): string {
  if (provider === undefined) {
    return 'the policy no longer names the identity provider of the login';
  }
  return flow === 'device' && provider.device === undefined
    ? 'the policy no longer allows logins with a device code'
    : 'the policy now names another client at the login’s identity provider';
}

/** As the policy in force has it: a commit makes logins shorter, and those that there are no longer. */
function loginEnd(
  { expiresAtMs, createdAtMs }: RefreshFamily,
  { startedAt = createdAtMs / 1000 }: LoginClaims,
  { maxTime }: IdentityProvider,
): number {
  const most = maxTime === undefined ? Number.POSITIVE_INFINITY : (startedAt + maxTime) * 1000;
  return Math.min(expiresAtMs, most);
}

function freshUntil(freshAt: number, { fresh }: IdentityProvider): number | undefined {
  return fresh === undefined ? undefined : Math.floor((freshAt + fresh) * 1000);
}

function stale({ issuer, fresh = 0 }: IdentityProvider): Error {
  return tokenError(
    'HOOP_TOKEN_STALE',
    `the identity provider has not confirmed the login for ${durationWords(fresh)}`,
    {
      detail: `The policy requires this (\`fresh\`), and hoop asks "${issuer}" for it while it runs.`,
    },
  );
}

export function workloadPolicy({ workloads, origins, roles }: LoginPolicy): WorkloadPolicy {
  return { rules: workloads?.() ?? [], origins: origins(), roles: roles() };
}
