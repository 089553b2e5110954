/** Where the value of a setting comes from: a column of pg_settings, also where SHOW or a call gives it. */
import { TYPE } from '../calls/function-types.ts';
import { as, type FieldsOf, literalText, type Node, namesOf } from '../parse/tree.ts';
import { constant, type Lineage, type NamedLineage } from './lineage.ts';
import { columnByName } from './relation-attributes.ts';
import { findTable, type Scope, type Table } from './scope.ts';
import { isSecretSetting, isSettingValue } from './secret-settings.ts';
import type { StatementFacts } from './statement-facts.ts';

/** The value of some setting, unchanged. */
export function settingValue(facts: StatementFacts): Lineage {
  const relation = facts.context.catalog.relation('pg_catalog', 'pg_settings');
  const attnum = relation && columnByName(relation, 'setting')?.attnum;
  const origin = facts.known({
    schema: 'pg_catalog',
    name: 'pg_settings',
    oid: relation?.oid ?? 0,
    column: 'setting',
    attnum: attnum ?? 0,
  });
  return { ...constant(TYPE.text), origins: new Set([origin]), identity: origin };
}

/** What SHOW and current_setting() give for a name. */
export function namedSetting(facts: StatementFacts, name: string): Lineage {
  if (!isSecretSetting(name)) return constant(TYPE.text);
  // The form of a token, or of a password, says nothing.
  return name.includes('.') ? { ...settingValue(facts), identity: undefined } : settingValue(facts);
}

/**
 * What current_setting() gives for a computed name. Settings of applications are in no row of
 * pg_settings, but can be asked for by name.
 */
export function calledSetting(facts: StatementFacts, name: Lineage | undefined): Lineage {
  const value = settingValue(facts);
  const fact = name?.identity?.fact;
  const isListed =
    fact?.schema === 'pg_catalog' && fact.name === 'pg_settings' && fact.column === 'name';
  return isListed ? value : { ...value, identity: undefined };
}

interface From {
  readonly tables: readonly Table[];
  readonly columns: readonly NamedLineage[];
}

/** Rows of pg_settings that hold no secrets, as the query itself says: their values are no columns. */
export function plainSettings(fields: FieldsOf<'SelectStmt'>, from: From): From {
  const [table, ...others] = from.tables;
  const { relation } = table ?? {};
  const isSettings = relation?.schema === 'pg_catalog' && relation.name === 'pg_settings';
  const isAlone = others.length === 0 && as(fields.fromClause?.[0], 'RangeVar') !== undefined;
  if (!table || !isSettings || !isAlone || !namesPlain(fields.whereClause)) return from;
  const columns = from.columns.map(withoutOrigin);
  return { tables: [{ ...table, columns: table.columns.map(withoutOrigin) }], columns };
}

function withoutOrigin(column: NamedLineage): NamedLineage {
  const fact = column.lineage.identity?.fact;
  const isValue = fact !== undefined && isSettingValue(fact);
  return isValue ? { name: column.name, lineage: constant(column.lineage.type) } : column;
}

/** `name = 'x'`, `name IN ('x', 'y')`, or numbers and switches by `vartype`, with AND to the rest. */
function namesPlain(node: Node | undefined): boolean {
  const all = as(node, 'BoolExpr');
  if (all?.boolop === 'AND_EXPR') return (all.args ?? []).some(namesPlain);
  const test = as(node, 'A_Expr');
  const isEquality =
    (test?.kind === 'AEXPR_OP' || test?.kind === 'AEXPR_IN') && namesOf(test.name)?.at(-1) === '=';
  if (!isEquality) return false;
  const column = namesOf(as(test.lexpr, 'ColumnRef')?.fields)?.at(-1);
  const values = (as(test.rexpr, 'List')?.items ?? [test.rexpr]).map(literalText);
  return values.every((value) => {
    if (value === undefined) return false;
    return column === 'name' ? !isSecretSetting(value) : column === 'vartype' && value !== 'string';
  });
}

/** `s.setting IS DISTINCT FROM s.boot_val`, in one row of pg_settings, tells of no value what it is. */
export function comparesSettings(
  { lexpr, rexpr }: FieldsOf<'A_Expr'>,
  scope: Scope | undefined,
): boolean {
  const sides = [lexpr, rexpr].map((side) => namesOf(as(side, 'ColumnRef')?.fields) ?? []);
  const [table, other] = sides.map((names) => (names.length === 2 ? names[0] : undefined));
  if (table === undefined || table !== other) return false;
  const relation = findTable(scope, table)?.relation;
  return sides.every(
    ([, column = '']) =>
      relation !== undefined &&
      isSettingValue({ schema: relation.schema, name: relation.name, column }),
  );
}
