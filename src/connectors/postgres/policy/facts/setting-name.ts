/**
 * pg_dump sets settings that only some servers have without asking first:
 * `SELECT set_config(name, '…', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'`.
 * The name is computed, yet there is only one that it can be.
 */

import { as, type FieldsOf, type Node, namesOf } from '../parse/tree.ts';
import type { Scope, Table } from './scope.ts';
import type { StatementFacts } from './statement-facts.ts';

/** @returns what the column `name` of pg_settings is in each row; undefined: not this very form. */
export function settingNameOf(
  facts: StatementFacts,
  fields: FieldsOf<'SelectStmt'>,
  tables: readonly Table[],
): string | undefined {
  const [from, ...others] = fields.fromClause ?? [];
  const [table] = tables;
  const relation = table?.relation;
  const isSettings = relation?.schema === 'pg_catalog' && relation.name === 'pg_settings';
  const named = as(from, 'RangeVar');
  if (!isSettings || others.length > 0 || named === undefined || named.alias !== undefined) {
    return undefined;
  }
  // An operator that is not built in, or a fault in what was seen so far: `=` may be anything.
  if (facts.opaque.length > 0) {
    return undefined;
  }
  const equals = as(fields.whereClause, 'A_Expr');
  const isEquality = equals?.kind === 'AEXPR_OP' && namesOf(equals.name)?.at(-1) === '=';
  return isEquality && isSettingName(equals.lexpr)
    ? as(equals.rexpr, 'A_Const')?.sval?.sval
    : undefined;
}

/** What the first argument of set_config() stands for, where the query leaves it no choice. */
export function settingNamed(node: Node | undefined, scope: Scope | undefined): string | undefined {
  return isSettingName(node) ? scope?.settingName : undefined;
}

function isSettingName(node: Node | undefined): boolean {
  const names = namesOf(as(node, 'ColumnRef')?.fields);
  return names?.length === 1 && names[0] === 'name';
}
