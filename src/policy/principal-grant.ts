/** From the policy to what one principal may do on one target. */
import { createHash } from 'node:crypto';
import { guarded } from './cross-check.ts';
import { matchingDocuments } from './match.ts';
import type { Policy, PolicyDocument, PolicyTarget } from './policy.ts';
import type {
  ColumnMask,
  Grant,
  MaskKind,
  Principal,
  SessionLimits,
  TemporaryGrant,
} from './types.ts';

/**
 * When two policies mask one column, the one that shows less wins. A full mask shows that there
 * is a value and nothing of it; NULL could be mistaken for "no value", so it is second; a hash
 * tells equal values apart, a partial mask shows characters.
 */
const STRICTNESS: readonly MaskKind[] = ['partial', 'hash', 'null', 'full'];

/** @returns undefined when the target is unknown or the principal has nothing on it. */
export function principalGrant(
  policy: Policy,
  commit: string,
  principal: Principal,
  targetName: string,
  temporary: readonly TemporaryGrant[] = [],
): Grant | undefined {
  const target = policy.targets.get(targetName);
  if (target === undefined) {
    return undefined;
  }
  const given: TemporaryGrant[] = [];
  const matching = matchingDocuments(policy, principal, target);
  const standing = matching.filter(({ request }) => request === undefined);
  const requested = matching.filter(({ request }) => request !== undefined);
  const onRequest = requested.flatMap((document) => {
    const grants = temporary.filter((grant) => isGivenBy(grant, document));
    const [last] = grants.toSorted((a, b) => b.expiresMs - a.expiresMs);
    given.push(...grants);
    return last ? [named(document, last.id)] : [];
  });
  // Standing rules first: what they allow too does not depend on the temporary grant.
  const documents = [...standing, ...onRequest];
  if (documents.length === 0) {
    return undefined;
  }
  const passthrough =
    documents.some(({ anything }) => anything) &&
    !documents.some(guarded) &&
    policy.defaults.limits.maxRows === undefined;
  const rules = documents.flatMap((document) => document.rules);
  if (!passthrough && rules.every(({ effect }) => effect === 'deny')) {
    return undefined;
  }
  const grant: Omit<Grant, 'generation'> = {
    commit,
    target: target.name,
    rules,
    masks: strictestMasks(documents.flatMap((document) => document.masks)),
    detectors: [...new Set(documents.flatMap((document) => document.detectors))].sort(),
    limits: smallestLimits(policy.defaults.limits, documents),
    requireReason: policy.defaults.requireReason || documents.some((d) => d.requireReason),
    inference: inferenceOf(policy, documents),
    passthrough,
    recording: target.recording,
    temporary: given.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    requestable: requested
      .filter(({ name }) => !given.some((grant) => grant.policy === name))
      .map(({ name }) => name),
  };
  return {
    ...grant,
    generation: createHash('sha256').update(JSON.stringify(grant)).digest('base64url'),
  };
}

/** What was approved is what the policy in force still gives on request. */
export function isGivenBy(grant: TemporaryGrant, document: PolicyDocument): boolean {
  return (
    document.request !== undefined &&
    document.name === grant.policy &&
    document.definition === grant.definition
  );
}

/** The policy with the temporary grant's id at each of its rules, so that decisions name it. */
function named(document: PolicyDocument, grant: string): PolicyDocument {
  return {
    ...document,
    rules: document.rules.map((rule) => ({ ...rule, rule: { ...rule.rule, grant } })),
    masks: document.masks.map((mask) => ({ ...mask, rule: { ...mask.rule, grant } })),
  };
}

export interface GrantedTarget {
  readonly target: PolicyTarget;
  readonly grant: Grant;
}

/** Every target on which the principal may do something, by name. */
export function grantedTargets(
  policy: Policy,
  commit: string,
  principal: Principal,
  temporary: (target: string) => readonly TemporaryGrant[] = () => [],
): GrantedTarget[] {
  return [...policy.targets.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((target) => {
      const grant = principalGrant(policy, commit, principal, target.name, temporary(target.name));
      return grant ? [{ target, grant }] : [];
    });
}

/** Roles of hoop.yaml that these groups give. */
export function principalRoles(policy: Policy, groups: readonly string[]): string[] {
  return Object.entries(policy.roles)
    .filter(([, needed]) => needed.some((group: string) => groups.includes(group)))
    .map(([role]) => role);
}

/** Name of the credential with which the gateway logs in to the target for this principal. */
export function credentialName(
  target: PolicyTarget,
  principal: Pick<Principal, 'groups'>,
): string | undefined {
  const own = target.credentials.find(({ groups }) =>
    groups.some((group) => principal.groups.includes(group)),
  );
  return own?.credential ?? target.credential;
}

/** @returns the mask that shows less. */
export function stricterMask(a: MaskKind, b: MaskKind): MaskKind {
  return STRICTNESS.indexOf(a) >= STRICTNESS.indexOf(b) ? a : b;
}

function strictestMasks(masks: readonly ColumnMask[]): ColumnMask[] {
  const byColumn = new Map<string, ColumnMask>();
  for (const mask of masks) {
    const key = JSON.stringify([mask.schema, mask.relation, mask.column]);
    const other = byColumn.get(key);
    byColumn.set(key, other ? stricterOf(other, mask) : mask);
  }
  return [...byColumn.values()];
}

function stricterOf(a: ColumnMask, b: ColumnMask): ColumnMask {
  const stricter = stricterMask(a.mask, b.mask) === a.mask ? a : b;
  const { write: _, ...rest } = stricter;
  // Writing is allowed only where every policy that masks the column allows it.
  return a.write === 'allow' && b.write === 'allow' ? { ...rest, write: 'allow' } : rest;
}

function smallestLimits(
  defaults: SessionLimits,
  documents: readonly PolicyDocument[],
): SessionLimits {
  const smallest = <Key extends keyof SessionLimits>(key: Key): number | undefined => {
    const given = documents.map(({ limits }) => limits[key]).filter((limit) => limit !== undefined);
    return given.length > 0 ? Math.min(...given) : defaults[key];
  };
  return {
    maxTimeSeconds: smallest('maxTimeSeconds') ?? defaults.maxTimeSeconds,
    idleTimeSeconds: smallest('idleTimeSeconds') ?? defaults.idleTimeSeconds,
    maxConnections: smallest('maxConnections') ?? defaults.maxConnections,
    maxRows: smallest('maxRows'),
  };
}

function inferenceOf(policy: Policy, documents: readonly PolicyDocument[]): 'allow' | 'deny' {
  const said = documents.map(({ inference }) => inference).filter((value) => value !== undefined);
  if (said.includes('deny')) {
    return 'deny';
  }
  return said.length > 0 ? 'allow' : policy.defaults.inference;
}
