/**
 * Whether a verified token fits an entry. Exact values only: what an attacker can choose, such as
 * the name of a branch inside `sub`, never becomes part of a pattern.
 */
import { claimPath, isSamePath, readClaim } from './claim-path.ts';
import { claimText, nameText } from './claim-text.ts';
import { PLATFORMS, type TokenClaims } from './platforms.ts';
import { type ExactClaim, PLACEHOLDER, type WorkloadRule } from './workload-rule.ts';

/** A token whose signature was found good. */
export interface VerifiedWorkload {
  readonly issuer: string;
  /** `WorkloadRule.keySource` of the keys that its signature was made with. */
  readonly keySource: string;
  readonly audiences: readonly string[];
  readonly claims: TokenClaims;
}

export type WorkloadMatch = FittingWorkload | MisfittingWorkload;

export interface FittingWorkload {
  readonly fits: true;
  readonly rule: WorkloadRule;
  /** For people: the entry's `principal` with its claims put in. */
  readonly name: string;
  /** For whom it works, as its issuer says; printable. */
  readonly requester?: string;
}

export interface MisfittingWorkload {
  readonly fits: false;
  readonly rule: WorkloadRule;
  readonly code: 'HOOP_TOKEN_AUDIENCE' | 'HOOP_WORKLOAD_EVENT' | 'HOOP_WORKLOAD_CLAIM';
  /** What did not fit; sentences without their period. Values of claims are made printable. */
  readonly problems: readonly string[];
}

/** So long that a person sees what is meant, and a refusal stays short. */
const MAX_PROBLEMS = 4;
const MAX_SHOWN_WANTED = 3;

/**
 * Entries that trust the signature, in the order of the policy; the first that fits counts.
 * @param defaultAudiences the gateway's own, for entries that name none
 */
export function matchWorkload(
  rules: readonly WorkloadRule[],
  token: VerifiedWorkload,
  defaultAudiences: readonly string[],
): WorkloadMatch[] {
  return rules
    .filter(({ issuer, keySource }) => issuer === token.issuer && keySource === token.keySource)
    .map((rule) => matchRule(rule, token, defaultAudiences));
}

/** Of several that do not fit, the one that its author most likely meant. */
export function nearestMiss(matches: readonly WorkloadMatch[]): MisfittingWorkload | undefined {
  const order = ['HOOP_WORKLOAD_EVENT', 'HOOP_WORKLOAD_CLAIM', 'HOOP_TOKEN_AUDIENCE'];
  return matches
    .filter((match) => !match.fits)
    .toSorted(
      (a, b) =>
        order.indexOf(a.code) - order.indexOf(b.code) || a.problems.length - b.problems.length,
    )[0];
}

function matchRule(
  rule: WorkloadRule,
  token: VerifiedWorkload,
  defaultAudiences: readonly string[],
): WorkloadMatch {
  const accepted = rule.audience === undefined ? defaultAudiences : [rule.audience];
  // All of them: whoever else a token is made out to could send it here, too.
  if (
    token.audiences.length === 0 ||
    !token.audiences.every((audience) => accepted.includes(audience))
  ) {
    return misfit(rule, 'HOOP_TOKEN_AUDIENCE', [
      `the token’s audience is ${list(token.audiences)}, not only ${list(accepted)}`,
    ]);
  }
  const problems = rule.claims.flatMap((claim) => claimProblem(claim, token.claims) ?? []);
  if (problems.length > 0) {
    return misfit(rule, 'HOOP_WORKLOAD_CLAIM', problems);
  }
  const pitfall = PLATFORMS[rule.platform].pitfalls.find(
    ({ claim, applies }) =>
      !rule.claims.some(({ path }) => isSamePath(path, claimPath(rule.platform, claim))) &&
      applies((name) => readNamed(rule, token.claims, name)),
  );
  return pitfall === undefined
    ? {
        fits: true,
        rule,
        name: nameOf(rule, token.claims),
        ...requesterOf(rule, token.claims),
      }
    : misfit(rule, 'HOOP_WORKLOAD_EVENT', [
        `${pitfall.says}; the entry would have to list "${pitfall.claim}" to allow that`,
      ]);
}

function misfit(
  rule: WorkloadRule,
  code: MisfittingWorkload['code'],
  problems: readonly string[],
): MisfittingWorkload {
  const rest = problems.length - MAX_PROBLEMS;
  return {
    fits: false,
    rule,
    code,
    problems: rest > 0 ? [...problems.slice(0, MAX_PROBLEMS), `and ${rest} claims more`] : problems,
  };
}

function claimProblem(claim: ExactClaim, claims: TokenClaims): string | undefined {
  const value = readClaim(claims, claim.path);
  if (value === undefined || value === null) {
    return `the token has no "${claim.name}"`;
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  const fits = values.some((one) => claim.anyOf.some((wanted) => isSameValue(one, wanted)));
  const kind =
    typeof value === 'boolean' || claim.anyOf.some((wanted) => typeof wanted === 'boolean')
      ? ` (in the token it is ${typeof value === 'boolean' ? 'true or false' : 'a text'})`
      : '';
  return fits ? undefined : `"${claim.name}" is ${quote(value)}, not ${list(claim.anyOf)}${kind}`;
}

/** GitLab's booleans are texts, CircleCI's are booleans: neither stands for the other. */
function isSameValue(value: unknown, wanted: string | boolean): boolean {
  if (typeof value === 'number') {
    // Ids that come as numbers. Beyond 2^53 several ids would read as one.
    return Number.isSafeInteger(value) && String(value) === wanted;
  }
  return value === wanted;
}

function nameOf(rule: WorkloadRule, claims: TokenClaims): string {
  return rule.principal.replaceAll(PLACEHOLDER, (_, name: string) =>
    nameText(readNamed(rule, claims, name) ?? '-'),
  );
}

function requesterOf({ requester }: WorkloadRule, claims: TokenClaims): { requester?: string } {
  const value = requester && readClaim(claims, requester.path);
  return typeof value === 'string' && value.trim() !== '' ? { requester: claimText(value) } : {};
}

/** Claims of the entry by their name there, else by the platform's. */
function readNamed(rule: WorkloadRule, claims: TokenClaims, name: string): unknown {
  const known = [...rule.claims, ...rule.show].find((claim) => claim.name === name);
  return readClaim(claims, known?.path ?? claimPath(rule.platform, name));
}

function quote(value: unknown): string {
  return `"${claimText(value)}"`;
}

function list(values: readonly unknown[]): string {
  const shown = values.slice(0, MAX_SHOWN_WANTED).map(quote).join(' or ');
  const rest = values.length - MAX_SHOWN_WANTED;
  return values.length === 0 ? 'nobody' : rest > 0 ? `${shown} or ${rest} others` : shown;
}
