/** Actions of CREATE RULE, walked as if they stood in the statement that the rule is about. */

import type { CatalogRelation, CatalogRule } from '../facts/catalog-types.ts';
import { constant, type NamedLineage } from '../facts/lineage.ts';
import { relationColumns } from '../facts/relation-columns.ts';
import { visibleColumns } from '../facts/row-types.ts';
import { NO_RESULT, type Scope } from '../facts/scope.ts';
import { BUILT_IN_PATH, type StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node } from '../parse/tree.ts';
import { condition } from '../walk/conditions.ts';

/** @returns the rows that the actions change. */
export function ruleActions(
  facts: StatementFacts,
  relation: CatalogRelation,
  rule: CatalogRule,
  columns: ReadonlySet<number> | undefined,
): StatementFacts['changed'] {
  const definition = definitionOf(rule.tree);
  if (!definition) {
    facts.refuse(
      `the definition of the rule ${rule.name} of ${relation.schema}.${relation.name} is not known`,
    );
    return [];
  }
  const { view, viewPath, changed, qualified, isRule } = facts;
  const verbs = [...facts.verbs];
  const writes = [...facts.writes];
  facts.view ??= relation;
  facts.viewPath = relation.viewPath ?? BUILT_IN_PATH;
  facts.changed = [];
  const scope = rowScope(facts, relation, rule, columns);
  facts.isRule = true;
  condition(facts, definition.whereClause, scope);
  for (const action of definition.actions ?? []) walkAction(facts, action, scope);
  const found = facts.changed;
  Object.assign(facts, { view, viewPath, changed, qualified, isRule });
  facts.verbs.splice(0, facts.verbs.length, ...verbs);
  // What is written is told by `found`, with the verb that writes it.
  facts.writes.clear();
  for (const [key, fact] of writes) facts.writes.set(key, fact);
  return found;
}

function walkAction(facts: StatementFacts, action: Node, scope: Scope): void {
  // Its channel and payload are constants.
  if (is(action, 'NotifyStmt')) return;
  facts.nested(() => facts.walks.query(facts, action, scope) ?? NO_RESULT);
}

/** NEW and OLD. Of a new row the client knows what it has written; the rest is what was there. */
function rowScope(
  facts: StatementFacts,
  relation: CatalogRelation,
  { event }: CatalogRule,
  columns: ReadonlySet<number> | undefined,
): Scope {
  const reads = new Set(facts.reads.keys());
  const old = relationColumns(facts, relation, true);
  // The row that is changed is at hand: nothing else of the relation is read.
  for (const key of [...facts.reads.keys()]) if (!reads.has(key)) facts.reads.delete(key);
  const numbers = visibleColumns(relation).map(({ attnum }) => attnum);
  const fresh = old.map((column, index): NamedLineage => {
    const written = event === 'insert' || (columns?.has(numbers[index] ?? 0) ?? false);
    return written ? { name: column.name, lineage: constant(column.lineage.type) } : column;
  });
  const table = (name: string, own: readonly NamedLineage[]) => ({
    name,
    schema: undefined,
    columns: own,
    relation: undefined,
  });
  return { tables: [table('new', fresh), table('old', old)], columns: [], outer: undefined };
}

function definitionOf(tree: unknown): FieldsOf<'RuleStmt'> | undefined {
  const stmts: unknown =
    typeof tree === 'object' && tree !== null && 'stmts' in tree ? tree.stmts : undefined;
  const [first, ...more] = Array.isArray(stmts) ? stmts : [];
  return more.length === 0 ? as(first?.stmt, 'RuleStmt') : undefined;
}
