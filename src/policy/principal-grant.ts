/** From the policy to what one principal may do on one target. */
import { createHash } from 'node:crypto';
import { anythingRule, type GrantContent, withAgent } from './agent-grant.ts';
import { agentItself } from './agents.ts';
import { mapRules } from './connector.ts';
import { guarded, limitsRows } from './cross-check.ts';
import { detectorsOf } from './detectors-of.ts';
import { givesOn, matchingDocuments } from './match.ts';
import type { Policy, PolicyDocument, PolicyTarget } from './policy.ts';
import { strictestMasks } from './strictest-masks.ts';
import { terminalOf } from './terminal-of.ts';
import type {
  ApprovalTerms,
  Grant,
  Principal,
  SessionLimits,
  StatementRule,
  TemporaryGrant,
} from './types.ts';

/**
 * With an agent: what both may do. A login that is the agent itself has it whoever says so.
 * @returns undefined when the target is unknown or the principal (or its agent) has nothing on it.
 */
export function principalGrant(
  policy: Policy,
  commit: string,
  someone: Principal,
  targetName: string,
  temporary: readonly TemporaryGrant[] = [],
): Grant | undefined {
  if (someone.targets !== undefined && !someone.targets.includes(targetName)) {
    return undefined;
  }
  const itself = agentItself(policy, someone)?.name;
  const name = someone.agent ?? itself;
  if (itself !== undefined && name !== itself) {
    return undefined;
  }
  const principal = name === undefined ? someone : { ...someone, agent: name };
  const own = ownGrant(policy, commit, principal, targetName, temporary);
  if (own === undefined) {
    return undefined;
  }
  const { sideRules: _, ...alone } = own;
  if (name === undefined) {
    return withGeneration(alone);
  }
  const agent = policy.agents.get(name);
  const target = policy.targets.get(targetName);
  const both =
    agent === undefined || target === undefined
      ? undefined
      : withAgent(own, agent, principal, target);
  return both && withGeneration(both);
}

function withGeneration(grant: GrantContent): Grant {
  return {
    ...grant,
    generation: createHash('sha256').update(JSON.stringify(grant)).digest('base64url'),
  };
}

function ownGrant(
  policy: Policy,
  commit: string,
  principal: Principal,
  targetName: string,
  temporary: readonly TemporaryGrant[],
): (GrantContent & { readonly sideRules: readonly StatementRule[] }) | undefined {
  const target = policy.targets.get(targetName);
  if (target === undefined) {
    return undefined;
  }
  const given: TemporaryGrant[] = [];
  const matching = matchingDocuments(policy, principal, target);
  const standing = matching.filter(({ request }) => request === undefined);
  const requested = matching.filter(({ request }) => request !== undefined);
  const anythingRules = standing.filter(({ anything }) => anything).map((one) => anythingRule(one));
  const onRequest = requested.flatMap((document) => {
    const grants = temporary.filter((grant) => isGivenBy(grant, document));
    const [last] = grants.toSorted((a, b) => b.expiresMs - a.expiresMs);
    given.push(...grants);
    if (last && document.anything) {
      anythingRules.push(anythingRule(document, last.id));
    }
    return last ? [named(document, last.id)] : [];
  });
  // Standing rules first: what they allow too does not depend on the temporary grant.
  const documents = [...standing, ...onRequest];
  if (documents.length === 0) {
    return undefined;
  }
  const common = {
    commit,
    target: target.name,
    ...(policy.defaults.notices === 'off' ? { notices: 'off' as const } : {}),
    limits: smallestLimits(policy.defaults.limits, documents),
    requireReason: policy.defaults.requireReason || documents.some((d) => d.requireReason),
    recording: target.recording,
    ...terminalOf(target, ...documents),
    temporary: given.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    requestable: requested
      // A workload cannot ask, and nobody can ask for it.
      .filter(() => principal.kind === 'person')
      .filter((document) => givesOn(document, target))
      .filter(({ name }) => !given.some((grant) => grant.policy === name))
      .map(({ name }) => name),
  };
  // What is no database has nothing by rules about statements, whoever knows its kind.
  if (!target.hasStatements) {
    const rules = documents.flatMap(({ own }) =>
      (own[target.kind] ?? []).map((rule) => ruleFor(rule, principal)),
    );
    return rules.every(({ effect }) => effect === 'deny')
      ? undefined
      : { ...common, ...WITHOUT_SQL, own: { rules } };
  }
  const unlimited = anythingRules.length > 0 && !limitsRows(policy.defaults.limits);
  const passthrough = unlimited && !documents.some(guarded);
  const rules = documents.flatMap((document) =>
    document.rules.map((rule) => ruleFor(rule, principal)),
  );
  // What agents alone are denied leaves the principal what it has: it is guarded, and not void.
  const isFree =
    unlimited && !documents.some((one) => one.who.agents === undefined && guarded(one));
  const sideRules = isFree ? [...rules, ...anythingRules] : rules;
  if (!passthrough && sideRules.every(({ effect }) => effect === 'deny')) {
    return undefined;
  }
  return {
    ...common,
    rules,
    masks: strictestMasks(documents.flatMap((document) => document.masks)),
    ...detectorsOf(documents),
    passthrough,
    sideRules,
  };
}

/** Statements are not what servers have, and nothing in what they say is masked. */
const WITHOUT_SQL = {
  rules: [],
  masks: [],
  detectors: [],
  passthrough: false,
  sideRules: [],
} as const;

/** Whether a held statement waits can depend on who sends it. */
function ruleFor<Rule extends { readonly approval?: ApprovalTerms }>(
  rule: Rule,
  { kind }: Pick<Principal, 'kind'>,
): Rule {
  const { approval } = rule;
  return kind === 'workload' && approval?.waitsForPeopleOnly
    ? { ...rule, approval: { ...approval, waits: false } }
    : rule;
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
    own: mapRules(document.own, (rule) => ({ ...rule, rule: { ...rule.rule, grant } })),
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
    changedRowsPerTransaction: smallest('changedRowsPerTransaction'),
    changedRowsPerDay: smallest('changedRowsPerDay'),
    lookups: smallest('lookups') ?? defaults.lookups,
    statementsPerMessage: smallest('statementsPerMessage'),
    statementsPerSecond: smallest('statementsPerSecond'),
  };
}
