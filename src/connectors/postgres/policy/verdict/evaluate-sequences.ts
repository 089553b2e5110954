/**
 * Rules against the use of sequences. A sequence belongs to its table: who may insert there may draw
 * from it (clients do so before they insert), and setting it is an update. Rules may name it, too.
 */

import { namesSchema, patternMatches, qualifiedName } from '../../../../policy/patterns.ts';
import type { Grant, RuleRef, StatementRule } from '../../../../policy/types.ts';
import { verbMatches } from '../../../../policy/verbs.ts';
import { allowSnippet } from '../../../../policy/words/rule-snippet.ts';
import type { RelationFact, SequenceFact } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { isUnrestricted, temporaryFreedom } from './evaluate-functions.ts';
import { refusal } from './evaluate-refusal.ts';

type Use = SequenceFact['use'];

/** Verbs of which one is needed, on the sequence or on every table that it belongs to. */
const ALLOWING: Readonly<Record<Use, readonly string[]>> = {
  nextval: ['insert', 'update'],
  setval: ['update'],
  // What it tells is what this session has drawn itself.
  currval: ['select', 'insert', 'update'],
};
/** Verbs that a rule which denies it, or holds it for approval, says of the sequence, of its table. */
const SPEAKING: Readonly<Record<Use, { readonly sequence: string; readonly table?: string }>> = {
  nextval: { sequence: 'update', table: 'insert' },
  setval: { sequence: 'update', table: 'update' },
  currval: { sequence: 'select' },
};

/** @returns null: nothing to ask. undefined: not allowed. */
export function allowingUse(used: SequenceFact, grant: Grant): RuleRef | null | undefined {
  if (isUnrestricted(grant)) return temporaryFreedom(grant) ?? null;
  const verbs = ALLOWING[used.use];
  const allows = grant.rules.filter(({ effect }) => effect !== 'deny');
  const rule = allows.find((one) => isNamedBy(one, used) || ruleGives(one, verbs, used.use, used));
  if (rule) return rule.rule;
  const rules = used.tables.map((table) =>
    allows.find((one) => ruleGives(one, verbs, used.use, table)),
  );
  return rules.length > 0 && rules.every((one) => one !== undefined) ? rules[0]?.rule : undefined;
}

/** Whether a deny or approve rule is about it. Drawing waits for nobody: what is inserted does. */
export function speaksOfUse(rule: StatementRule, used: SequenceFact): boolean {
  const { sequence, table } = SPEAKING[used.use];
  if (rule.effect === 'approve' && used.use !== 'setval') return false;
  if (rule.functions.length > 0) return false;
  const says = (verb: string, relations: readonly RelationFact[]): boolean =>
    rule.verbs.some((one) => verbMatches(one, verb)) &&
    // It has no WHERE.
    (rule.qualified !== true || verb !== 'update') &&
    (rule.relations.length === 0 || relations.some((one) => covers(rule, one)));
  return says(sequence, [used]) || (table !== undefined && says(table, used.tables));
}

function ruleGives(
  rule: StatementRule,
  verbs: readonly string[],
  use: Use,
  relation: RelationFact,
): boolean {
  return (
    rule.functions.length === 0 &&
    rule.verbs.some((one) => verbs.some((verb) => verbMatches(one, verb))) &&
    (use !== 'setval' || rule.qualified !== true) &&
    (rule.relations.length === 0 || covers(rule, relation))
  );
}

function isNamedBy(rule: StatementRule, { use }: SequenceFact): boolean {
  return rule.functions.some(
    (pattern) => namesSchema(pattern) && patternMatches(pattern, 'pg_catalog', use),
  );
}

function covers(rule: StatementRule, { schema, name }: RelationFact): boolean {
  return rule.relations.some((pattern) => patternMatches(pattern, schema, name));
}

export function sequenceNotAllowed(used: SequenceFact, grant: Grant): SqlRefusal {
  const { use, via, tables } = used;
  const [verb = ''] = ALLOWING[use];
  const name = qualifiedName(used.schema, used.name);
  const about = tables.map((table) => qualifiedName(table.schema, table.name)).join(', ');
  return refusal(grant, {
    code: 'HOOP_NOT_ALLOWED',
    message: `${use}() of ${via ? 'a sequence of another table' : name} is not allowed by policy`,
    detail: about === '' || via ? undefined : `The sequence belongs to ${about}.`,
    hint: via
      ? undefined
      : `A rule can allow it: ${allowSnippet({ verbs: [verb], relations: [name] })}.`,
  });
}
