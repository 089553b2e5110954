/** `workloads:` of hoop.yaml to rules, with what is wrong with each entry. */
import { createHash } from 'node:crypto';
import type { YamlPath } from '../yaml-document.ts';
import { claimPath, isSamePath, isWithin } from './claim-path.ts';
import { PLATFORMS, type PlatformName } from './platforms.ts';
import { PLACEHOLDER, type WorkloadRule } from './workload-rule.ts';
import type { WorkloadFile } from './workload-schema.ts';

type Report = (path: YamlPath, message: string) => void;

export interface WorkloadPlaces {
  readonly report: Report;
  readonly lineOf: (path: YamlPath) => number;
}

/** Verified for every token, whatever an entry says. */
const CHECKED_ANYWAY = ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti'];
/** Any cluster may have it, so its keys say nothing unless they are pinned. */
const SHARED_CLUSTER_ISSUER = /^https:\/\/kubernetes\.default\.svc(\.[a-z.]*)?\/?$/;
/** Tokens for these are given to every pod, job or cloud for another purpose. */
const FOREIGN_AUDIENCES = [
  /^https:\/\/kubernetes\.default/,
  /^api:\/\/AzureADTokenExchange$/,
  /^sts\.amazonaws\.com$/,
  /^https:\/\/sts\.amazonaws\.com/,
];
const KNOWN_ISSUERS: readonly (readonly [RegExp, PlatformName])[] = [
  [/^https:\/\/token\.actions\.githubusercontent\.com(\/|$)/, 'github'],
  [/^https:\/\/gitlab\.com\/?$/, 'gitlab'],
  [/^https:\/\/oidc\.circleci\.com(\/|$)/, 'circleci'],
  [/^https:\/\/agent\.buildkite\.com(\/|$)/, 'buildkite'],
  [/^https:\/\/accounts\.google\.com\/?$/, 'gcp'],
  [/^https:\/\/(login\.microsoftonline\.com|sts\.windows\.net)\//, 'azure'],
  [/\.tokens\.sts\.global\.api\.aws\/?$/, 'aws'],
];

export function workloadRules(
  entries: readonly WorkloadFile[],
  { report, lineOf }: WorkloadPlaces,
): WorkloadRule[] {
  const names = new Set<string>();
  return entries.flatMap((entry, index) => {
    const path: YamlPath = ['workloads', index];
    if (names.has(entry.name)) {
      report([...path, 'name'], `workloads: the name "${entry.name}" is listed twice`);
    }
    names.add(entry.name);
    const say = (key: string, message: string): void => {
      report([...path, key], `workloads[${index}].${key}: ${message}`);
    };
    checkClaims(entry, say);
    checkAudience(entry, say);
    checkPrincipal(entry, say);
    checkRequester(entry, say);
    const issuer = issuerOf(entry, say);
    return issuer === undefined ? [] : [ruleOf(entry, issuer, lineOf(path))];
  });
}

type Say = (key: string, message: string) => void;

function ruleOf(entry: WorkloadFile, issuer: string, line: number): WorkloadRule {
  const { platform, jwks } = entry;
  return {
    name: entry.name,
    platform,
    issuer,
    audience: entry.audience,
    jwks,
    keySource:
      jwks === undefined
        ? 'discovery'
        : createHash('sha256').update(JSON.stringify(jwks)).digest('base64url'),
    claims: Object.entries(entry.claims).map(([name, value]) => ({
      name,
      path: claimPath(platform, name),
      anyOf: [value].flat(),
    })),
    show: entry.show.map((name) => ({ name, path: claimPath(platform, name) })),
    principal: entry.principal ?? entry.name,
    requester:
      entry.requester === undefined
        ? undefined
        : { name: entry.requester, path: claimPath(platform, entry.requester) },
    groups: entry.groups,
    line,
  };
}

function issuerOf(entry: WorkloadFile, say: Say): string | undefined {
  const platform = PLATFORMS[entry.platform];
  const issuer = entry.issuer ?? platform.issuer;
  if (issuer === undefined) {
    say('platform', `needs an issuer as well, because ${platform.title} has many`);
    return undefined;
  }
  const known = KNOWN_ISSUERS.find(([pattern]) => pattern.test(issuer))?.[1];
  if (known !== undefined && known !== entry.platform) {
    // Under another name its pitfalls would not be looked for.
    say('issuer', `this is the issuer of ${PLATFORMS[known].title}; expected platform: ${known}`);
  }
  if (issuer.startsWith('spiffe:') && entry.platform !== 'spiffe') {
    say('issuer', 'a trust domain needs platform: spiffe');
  }
  if (entry.jwks === undefined && issuer.startsWith('spiffe:')) {
    say('issuer', 'a trust domain needs its keys in jwks');
  }
  if (entry.jwks === undefined && SHARED_CLUSTER_ISSUER.test(issuer)) {
    say('issuer', 'many clusters have this issuer; expected the keys of yours in jwks');
  }
  return issuer;
}

function checkClaims(entry: WorkloadFile, say: Say): void {
  const { ids, needs, bars } = PLATFORMS[entry.platform];
  const listed = Object.keys(entry.claims).map((name) => claimPath(entry.platform, name));
  const lists = (name: string): boolean =>
    listed.some((path) => isSamePath(path, claimPath(entry.platform, name)));
  if (entry.idClaims !== undefined && entry.platform !== 'generic') {
    say('idClaims', `only for platform: generic; the IDs of ${entry.platform} are known`);
  }
  const counted = [...ids, ...(entry.platform === 'generic' ? (entry.idClaims ?? []) : [])];
  if (!counted.some(lists)) {
    say('claims', `expected at least one claim that is never reassigned: ${counted.join(', ')}`);
  }
  for (const { claim, because } of needs) {
    if (!lists(claim)) {
      say('claims', `expected "${claim}" too: ${because}`);
    }
  }
  for (const { claim, because } of bars) {
    if (listed.some((path) => isWithin(path, claimPath(entry.platform, claim)))) {
      say('claims', `"${claim}" cannot decide: ${because}`);
    }
  }
  for (const claim of CHECKED_ANYWAY.filter(lists)) {
    say('claims', `"${claim}" is checked for every token; omit it`);
  }
}

function checkAudience(entry: WorkloadFile, say: Say): void {
  const { audience, issuer } = entry;
  const orgOfIssuer = /^https:\/\/oidc\.circleci\.com\/org\/([^/]+)$/.exec(issuer ?? '')?.[1];
  if (
    audience !== undefined &&
    (audience === issuer ||
      audience === orgOfIssuer ||
      FOREIGN_AUDIENCES.some((pattern) => pattern.test(audience)))
  ) {
    say('audience', 'tokens for it are issued for another purpose; use your own audience');
  }
}

/** It is shown as the issuer's word, so it must not be what the caller chooses. */
function checkRequester({ platform, requester }: WorkloadFile, say: Say): void {
  if (requester === undefined) {
    return;
  }
  const path = claimPath(platform, requester);
  for (const { claim, because } of PLATFORMS[platform].bars) {
    if (isWithin(path, claimPath(platform, claim))) {
      say('requester', `"${claim}" does not come from its issuer: ${because}`);
    }
  }
}

function checkPrincipal(entry: WorkloadFile, say: Say): void {
  const text = entry.principal ?? '';
  for (const [, name = ''] of text.matchAll(PLACEHOLDER)) {
    if (!Object.hasOwn(entry.claims, name) && !entry.show.includes(name)) {
      say('principal', `"${name}" is neither in claims nor in show`);
    }
  }
  const literal = text.replaceAll(PLACEHOLDER, '');
  if (/[{}]/.test(literal)) {
    say('principal', 'expected names of claims in braces, such as "ci/{ref}"');
  }
  if (/[^\p{L}\p{N}\p{P}\p{S} ]|@/u.test(literal)) {
    say('principal', 'expected printable characters without "@", which is for people');
  }
}
