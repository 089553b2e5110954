/**
 * What an agent may do for a principal: what both may. Masks, detectors and limits of both hold at
 * once and are put together here; rules are kept apart, and each statement is held against both.
 */

import { isItself, mayActFor } from './agents.ts';
import type { ConnectorRule } from './connector.ts';
import { guarded } from './cross-check.ts';
import { detectorsOf } from './detectors-of.ts';
import { documentCovers } from './match.ts';
import type { AgentDocument, PolicyTarget } from './policy.ts';
import { strictestMasks } from './strictest-masks.ts';
import { terminalOf } from './terminal-of.ts';
import type {
  ActingAgent,
  ColumnMask,
  Grant,
  Principal,
  SessionLimits,
  StatementRule,
} from './types.ts';
import { columnName } from './words/describe-grant.ts';

export type GrantContent = Omit<Grant, 'generation'>;

/** @returns undefined: the agent may not act for this principal, or nothing on this target. */
export function withAgent(
  own: GrantContent & {
    /** Those of the principal beside an agent: `rules`, and what `statements: anything` gives. */
    readonly sideRules: readonly StatementRule[];
  },
  agent: AgentDocument,
  principal: Principal,
  target: PolicyTarget,
): GrantContent | undefined {
  if (!mayActFor(agent, principal) || !documentCovers(agent, target)) {
    return undefined;
  }
  const { sideRules, ...grant } = own;
  if (grant.own !== undefined) {
    return withoutSql(grant, grant.own.rules, agent, agent.own[target.kind] ?? [], principal);
  }
  const freely = agent.anything && !guarded(agent);
  const rules = freely ? [anythingRule({ ...agent, name: `agents/${agent.name}` })] : agent.rules;
  if (rules.every(({ effect }) => effect === 'deny')) {
    return undefined;
  }
  return {
    ...grant,
    rules: [],
    agent: { ...acting(agent, principal), sides: { principal: sideRules, agent: rules } },
    masks: masksOfBoth(grant, agent),
    ...detectorsOf([grant, agent]),
    limits: smallerLimits(grant.limits, agent.limits),
    requireReason: grant.requireReason || agent.requireReason,
    ...terminalOf(grant, agent),
    // Without guards only where both sides say so.
    passthrough: grant.passthrough && freely,
  };
}

/**
 * An agent of whom the policy says `inference: deny` computes with none of the masked columns. It looks
 * rows up by a masked value only where its own file says so, too: where a person asks for one customer,
 * a program would go through a list.
 */
function masksOfBoth(grant: Pick<Grant, 'masks'>, agent: AgentDocument): readonly ColumnMask[] {
  const masks = strictestMasks([...grant.masks, ...agent.masks]);
  const permitted = new Set(agent.masks.filter(({ lookup }) => lookup).map(columnName));
  return masks.map((mask) => {
    const { lookup, ...rest } = mask;
    const inference = agent.inference === 'deny' ? 'deny' : mask.inference;
    const may = lookup && permitted.has(columnName(mask));
    return { ...rest, inference, ...(may ? { lookup } : {}) };
  });
}

/** `statements: anything` is about SQL, of agents too. */
function withoutSql(
  grant: GrantContent,
  own: readonly ConnectorRule[],
  agent: AgentDocument,
  rules: readonly ConnectorRule[],
  principal: Principal,
): GrantContent | undefined {
  return rules.every(({ effect }) => effect === 'deny')
    ? undefined
    : {
        ...grant,
        own: { rules: [] },
        agent: {
          ...acting(agent, principal),
          sides: { principal: [], agent: [] },
          own: { principal: own, agent: rules },
        },
        limits: smallerLimits(grant.limits, agent.limits),
        requireReason: grant.requireReason || agent.requireReason,
        ...terminalOf(grant, agent),
      };
}

function acting(
  agent: AgentDocument,
  principal: Principal,
): Pick<ActingAgent, 'name' | 'file' | 'principal' | 'isAgent' | 'requester'> {
  return {
    name: agent.name,
    file: agent.file,
    principal: principal.name,
    isAgent: isItself(agent, principal),
    ...(principal.requester === undefined ? {} : { requester: principal.requester }),
  };
}

/**
 * `statements: anything` of one side when the other one has rules: it restricts nothing, and the
 * guards are on for the sake of the other.
 */
export function anythingRule(
  { name, file, places }: Pick<AgentDocument, 'name' | 'file'> & Statements,
  grant?: string,
): StatementRule {
  const rule = { id: `${name}/anything`, file, line: places.statements.line };
  return {
    effect: 'allow',
    rule: grant === undefined ? rule : { ...rule, grant },
    verbs: ['*'],
    relations: [],
    functions: [],
    qualified: undefined,
    hint: undefined,
  };
}

interface Statements {
  readonly places: { readonly statements: { readonly line: number } };
}

/** Limits that there are always. */
type Always = 'maxTimeSeconds' | 'idleTimeSeconds' | 'maxConnections' | 'lookups';

function smallerLimits(a: SessionLimits, b: Partial<SessionLimits>): SessionLimits {
  const { maxTimeSeconds, idleTimeSeconds, maxConnections, lookups } = a;
  const least = (key: Exclude<keyof SessionLimits, Always>): number | undefined => {
    const smaller = Math.min(
      a[key] ?? Number.POSITIVE_INFINITY,
      b[key] ?? Number.POSITIVE_INFINITY,
    );
    return Number.isFinite(smaller) ? smaller : undefined;
  };
  return {
    maxTimeSeconds: Math.min(maxTimeSeconds, b.maxTimeSeconds ?? maxTimeSeconds),
    idleTimeSeconds: Math.min(idleTimeSeconds, b.idleTimeSeconds ?? idleTimeSeconds),
    maxConnections: Math.min(maxConnections, b.maxConnections ?? maxConnections),
    maxRows: least('maxRows'),
    changedRowsPerTransaction: least('changedRowsPerTransaction'),
    changedRowsPerDay: least('changedRowsPerDay'),
    lookups: Math.min(lookups, b.lookups ?? lookups),
    statementsPerMessage: least('statementsPerMessage'),
    statementsPerSecond: least('statementsPerSecond'),
  };
}
