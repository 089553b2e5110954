/** A grant in words, for `hoop targets`, the line that `connect` prints, and refusals. */

import type { ConnectorRule } from '../connector.ts';
import { jointNeeds } from '../joint-needs.ts';
import { qualifiedName } from '../patterns.ts';
import type { ApprovalTerms, ColumnMask, Grant, StatementRule } from '../types.ts';
import { peopleText } from './people-text.ts';

/**
 * One line per rule, e.g. `engineers/read: allow select, insert on public.*`. With an agent: those
 * of the principal; `describeAgentRules` has the other half.
 */
export function describeRules(grant: Grant): string[] {
  if (grant.passthrough) {
    return ['anything, unguarded'];
  }
  const { agent, own } = grant;
  return own === undefined
    ? describeAll(agent?.sides.principal ?? grant.rules)
    : describeAll(agent?.own?.principal ?? own.rules);
}

/** What must allow it, too. */
export function describeAgentRules({ agent, passthrough }: Grant): string[] {
  return agent === undefined || passthrough
    ? []
    : describeAll(agent.own?.agent ?? agent.sides.agent);
}

function describeAll(rules: readonly (StatementRule | ConnectorRule)[]): string[] {
  return rules.map((rule) => {
    const what = 'verbs' in rule ? describeConditions(rule) : (rule.described ?? '');
    return `${rule.rule.id}: ${rule.effect} ${what}${approversOf(rule)}`;
  });
}

function approversOf({ approval }: StatementRule | ConnectorRule): string {
  return approval === undefined ? '' : ` (by ${describeApprovers([approval])})`;
}

/**
 * Names those who may approve, e.g. `2 people of the groups dba, leads`, or where rules with different
 * groups must agree `one person of the group dba and one person of the group leads (different people)`.
 */
export function describeApprovers(
  terms: readonly Pick<ApprovalTerms, 'groups' | 'count'>[],
): string {
  const texts = jointNeeds(terms).map((one) => peopleText(one));
  return `${texts.join(' and ')}${texts.length > 1 ? ' (different people)' : ''}`;
}

/** What a rule covers, e.g. `update with WHERE on public.orders`. */
export function describeConditions(rule: StatementRule): string {
  const verbs = rule.verbs.length === 0 ? '' : rule.verbs.map(verbText).join(', ');
  if (rule.functions.length > 0) {
    return `${verbs ? `${verbs} with ` : ''}calls of ${rule.functions.join(', ')}${rule.mayShow ? ' (may return masked data)' : ''}`;
  }
  const qualified =
    rule.qualified === undefined ? '' : rule.qualified ? ' with WHERE' : ' without WHERE';
  const relations = rule.relations.length === 0 ? '' : ` on ${rule.relations.join(', ')}`;
  return `${verbs || 'anything'}${qualified}${rowsText(rule)}${relations}`;
}

function rowsText({ effect, rows }: StatementRule): string {
  if (rows === undefined) return '';
  return effect === 'allow'
    ? ` of up to ${rowCountText(rows)}`
    : ` of more than ${rowCountText(rows)}`;
}

/** `1 row`, `4,211 rows`. */
export function rowCountText(rows: number): string {
  return rows === 1 ? '1 row' : `${groupedDigits(rows)} rows`;
}

/** `4,211`. The built-in, which knows all languages, takes 10 ms when it is first used. */
export function groupedDigits(integer: number): string {
  return String(integer).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** What is masked, and what may be done with it besides selecting it. */
export function maskedColumns(grant: Pick<Grant, 'masks' | 'limits'>): {
  column: string;
  mask: string;
  inference: 'allow' | 'deny';
  lookup?: true;
  lookupsPerDay?: number;
}[] {
  return grant.masks.map((mask) => ({
    column: columnName(mask),
    mask: mask.mask,
    inference: mask.inference,
    ...(mask.lookup ? { lookup: true as const, lookupsPerDay: grant.limits.lookups } : {}),
  }));
}

export function columnName(column: Pick<ColumnMask, 'schema' | 'relation' | 'column'>): string {
  return `${qualifiedName(column.schema, column.relation)}.${column.column}`;
}

function verbText(verb: string): string {
  return verb === '*' ? 'anything' : verb;
}
