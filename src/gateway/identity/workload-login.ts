/**
 * What is kept of a workload's token for the time of its login, and who that makes it. The entries
 * of the policy are asked again at each use, so that one that is removed ends what it gave at once.
 */
import * as z from 'zod';
import type { WhoamiReply } from '../../api/login.ts';
import { HoopError } from '../../errors.ts';
import { principalRoles } from '../../policy/principal-roles.ts';
import type { Principal } from '../../policy/types.ts';
import {
  matchWorkload,
  nearestMiss,
  type WorkloadMatch,
} from '../../policy/workloads/match-workload.ts';
import { WORKLOAD_AUDIENCE_PATH, type WorkloadRule } from '../../policy/workloads/workload-rule.ts';

export const WorkloadClaims = z.object({
  kind: z.literal('workload'),
  /** As the entry says it. */
  issuer: z.string(),
  /** `WorkloadRule.keySource` of the keys that the token was signed with. */
  keySource: z.string(),
  audiences: z.array(z.string()).readonly(),
  sub: z.string(),
  /** All of them, verified: other entries may ask for others. */
  claims: z.record(z.string(), z.unknown()),
  /** Seconds; when the token was made. */
  authTime: z.number(),
  /** hex */
  claimsSha256: z.string(),
});
export type WorkloadClaims = z.infer<typeof WorkloadClaims>;

export interface WorkloadPolicy {
  readonly rules: readonly WorkloadRule[];
  /** Base URLs of the gateway. */
  readonly origins: readonly string[];
  /** Role → groups that give it. */
  readonly roles: Readonly<Record<string, readonly string[]>>;
}

export interface AdmittedWorkload {
  readonly principal: Principal;
  /** Entries that trust the token's signature, in their order; the first that fits counts. */
  readonly matches: readonly WorkloadMatch[];
}

/** In front of its name, everywhere: no job can pass for a person. */
const NAME_PREFIX = 'workload:';
/** Entries shown to the workload itself, or in a refusal. */
const MAX_SHOWN = 50;
const MAX_SHOWN_IN_REFUSAL = 5;

const EXPLAIN_HINT =
  'Correct the entry in the policy, or the job; `hoop whoami --explain` shows the token’s claims.';

/**
 * @param token verified: only its owner hears which entries come near
 * @throws HoopError HOOP_WORKLOAD_CLAIM, HOOP_WORKLOAD_EVENT, HOOP_TOKEN_AUDIENCE, HOOP_TOKEN_ISSUER
 */
export function admitWorkload(token: WorkloadClaims, policy: WorkloadPolicy): AdmittedWorkload {
  const matches = matchWorkload(
    policy.rules,
    token,
    policy.origins.map((origin) => `${origin}${WORKLOAD_AUDIENCE_PATH}`),
  );
  const fitting = matches.find((match) => match.fits);
  if (fitting === undefined) {
    throw refusal(matches);
  }
  const { rule, name, requester } = fitting;
  return {
    matches,
    principal: {
      kind: 'workload',
      ...workloadId(token),
      name: `${NAME_PREFIX}${name}`,
      email: undefined,
      ...(requester === undefined ? {} : { requester }),
      groups: rule.groups,
      // An approval is a person's word. `policy check` refuses such a group; this is for sure.
      roles: principalRoles(policy.roles, rule.groups).filter((role) => role !== 'approver'),
    },
  };
}

/** Clusters may share an issuer: with pinned keys the keys are part of who it is. */
export function workloadId({
  issuer,
  keySource,
  sub,
}: Pick<WorkloadClaims, 'issuer' | 'keySource' | 'sub'>): { issuer: string; sub: string } {
  return {
    issuer: keySource === 'discovery' ? issuer : `${issuer}#${keySource.slice(0, 16)}`,
    sub,
  };
}

export function isWorkloadName(name: string): boolean {
  return name.startsWith(NAME_PREFIX);
}

export function shownWorkload(
  matches: readonly WorkloadMatch[],
): NonNullable<WhoamiReply['workload']> {
  const used = matches.find((match) => match.fits);
  return {
    entry: used?.rule.name ?? '',
    platform: used?.rule.platform ?? '',
    entries: matches.slice(0, MAX_SHOWN).map((match) => ({
      name: match.rule.name,
      fits: match.fits,
      problems: match.fits ? [] : [...match.problems],
    })),
  };
}

function refusal(matches: readonly WorkloadMatch[]): HoopError {
  const nearest = nearestMiss(matches);
  if (nearest === undefined) {
    return new HoopError('HOOP_TOKEN_ISSUER', 'the login comes from an unknown issuer', {
      detail: 'The policy in force no longer has an entry with this issuer and these keys.',
      hint: EXPLAIN_HINT,
    });
  }
  const others = matches.filter((match) => !match.fits).filter((match) => match !== nearest);
  const lines = [nearest, ...others]
    .slice(0, MAX_SHOWN_IN_REFUSAL)
    .map(({ rule, problems }) => `${rule.name}: ${problems.join('; ')}.`);
  return new HoopError(nearest.code, MESSAGES[nearest.code], {
    detail: lines.join('\n'),
    hint: EXPLAIN_HINT,
  });
}

const MESSAGES = {
  HOOP_WORKLOAD_EVENT: 'the policy does not allow what triggered this job',
  HOOP_WORKLOAD_CLAIM: 'no entry of workloads in the policy matches this job or machine',
  HOOP_TOKEN_AUDIENCE: 'the workload token is meant for another audience',
} as const;
