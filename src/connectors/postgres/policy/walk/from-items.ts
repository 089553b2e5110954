/** FROM: relations, subqueries, functions, joins and the columns that they bring into scope. */

import { commonTypeOf, TYPE } from '../calls/function-types.ts';
import { checkOperator } from '../calls/operators.ts';
import { functionItem, jsonTableItem, xmlTableItem } from '../calls/table-functions.ts';
import {
  columnsOfEntry,
  derive,
  type NamedLineage,
  type Origin,
  oneOf,
  settled,
  withoutRows,
} from '../facts/lineage.ts';
import { findRelation } from '../facts/names.ts';
import { refuseServerFiles, relationColumns } from '../facts/relation-columns.ts';
import { findCte, renameColumns, type Scope, type Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { type FieldsOf, is, type Node, namesOf, tagOf } from '../parse/tree.ts';
import { condition } from './conditions.ts';
import { expressions } from './expressions.ts';
import { checkFields } from './grammar.ts';

export interface FromItem {
  readonly tables: readonly Table[];
  readonly columns: readonly NamedLineage[];
  readonly conditions: ReadonlySet<Origin>;
  /** Rows of tables that the planner sees here: named here, or in subqueries that it folds in. */
  readonly rows?: ReadonlySet<object>;
}

const NOTHING: FromItem = { tables: [], columns: [], conditions: new Set() };

/** All items of a FROM list; later ones may look at earlier ones (LATERAL, functions). */
export function fromList(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  outer: Scope | undefined,
): FromItem {
  let all = NOTHING;
  for (const node of nodes ?? []) {
    all = beside(all, fromItem(facts, node, outer, all));
    facts.spendOn(all.columns);
    facts.spendOn(all.tables);
  }
  return all;
}

function beside(left: FromItem, right: FromItem): FromItem {
  return {
    tables: [...left.tables, ...right.tables],
    columns: [...left.columns, ...right.columns],
    conditions: new Set([...left.conditions, ...right.conditions]),
    rows: new Set([...(left.rows ?? []), ...(right.rows ?? [])]),
  };
}

/** @param before the items to the left, which only LATERAL items see */
function fromItem(
  facts: StatementFacts,
  node: Node,
  outer: Scope | undefined,
  before: FromItem,
): FromItem {
  return facts.nested(() => {
    const lateral: Scope = { tables: before.tables, columns: before.columns, outer };
    if (is(node, 'RangeVar')) return relationItem(facts, node.RangeVar, outer);
    if (is(node, 'JoinExpr')) return joinItem(facts, node.JoinExpr, outer, before);
    if (is(node, 'RangeSubselect')) {
      const inside = node.RangeSubselect.lateral ? lateral : outer;
      return subqueryItem(facts, node.RangeSubselect, inside);
    }
    if (is(node, 'RangeFunction')) return called(functionItem(facts, node.RangeFunction, lateral));
    if (is(node, 'RangeTableFunc'))
      return called(xmlTableItem(facts, node.RangeTableFunc, lateral));
    if (is(node, 'JsonTable')) return called(jsonTableItem(facts, node.JsonTable, lateral));
    if (is(node, 'RangeTableSample')) {
      return sampleItem(facts, node.RangeTableSample, outer, before, lateral);
    }
    facts.unknown(`${tagOf(node)} in FROM`);
    return NOTHING;
  });
}

function single(table: Table): FromItem {
  return { tables: [table], columns: table.columns, conditions: new Set() };
}

/** What a function makes of values has none of their rows. */
function called(table: Table): FromItem {
  return single({ ...table, columns: withoutRows(table.columns) });
}

type AliasFields = FieldsOf<'Alias'>;

/** Applies `AS t(a, b)`. */
export function aliased(
  facts: StatementFacts,
  table: Table,
  alias: AliasFields | undefined,
): Table {
  if (!alias) {
    return table;
  }
  checkFields(facts, 'Alias', alias);
  const names = namesOf(alias.colnames) ?? [];
  const isRenamed = names.some((name, index) => name !== table.columns[index]?.name);
  return {
    name: alias.aliasname,
    schema: undefined,
    columns: renameColumns(table.columns, names),
    relation: table.relation,
    namesRows: table.namesRows === true && !(table.relation && isRenamed),
  };
}

/** A named relation, or the CTE that hides it. */
export function relationItem(
  facts: StatementFacts,
  fields: FieldsOf<'RangeVar'>,
  scope: Scope | undefined,
): FromItem {
  checkFields(facts, 'RangeVar', fields);
  const name = fields.relname ?? '';
  const cte = fields.schemaname === undefined ? findCte(scope, name) : undefined;
  if (cte) {
    facts.noteReference(cte);
    const columns = cte.columns();
    if (!columns) {
      facts.refuse(`the query ${name} refers to itself in a way that hoop cannot trace`, {
        location: fields.location,
      });
    }
    const table = {
      name,
      schema: undefined,
      columns: columnsOfEntry(columns ?? []),
      relation: undefined,
      namesRows: true,
    };
    return single(aliased(facts, table, fields.alias));
  }
  const table = namedRelation(facts, fields) ?? {
    name: fields.alias?.aliasname ?? name,
    schema: undefined,
    columns: [],
    incomplete: true,
    relation: undefined,
  };
  const isTable = table.relation?.kind === 'r' || table.relation?.kind === 'p';
  return { ...single(table), ...(isTable ? { rows: rowsOf(table) } : {}) };
}

/** Of a table all columns have the same row. */
function rowsOf({ columns }: Table): ReadonlySet<object> {
  const row = columns[0]?.lineage.row;
  return new Set(row === undefined ? [] : [row]);
}

/** A relation of the catalog under its own name or its alias. */
export function namedRelation(
  facts: StatementFacts,
  fields: FieldsOf<'RangeVar'>,
): Table | undefined {
  const relation = findRelation(facts, fields);
  if (!relation) {
    return undefined;
  }
  const columns = relationColumns(facts, relation, fields.inh !== true);
  facts.spendOn(columns);
  const { name, schema } = relation;
  const table = { name, schema, columns, relation, namesRows: true };
  return aliased(facts, table, fields.alias);
}

function subqueryItem(
  facts: StatementFacts,
  fields: FieldsOf<'RangeSubselect'>,
  scope: Scope | undefined,
): FromItem {
  checkFields(facts, 'RangeSubselect', fields);
  const query = facts.walks.query(facts, fields.subquery, scope);
  const rows = new Map<object | undefined, object>();
  // One that looks beyond an outer join around it is not folded in.
  const folded = fields.lateral ? [] : [...(query.foldedRows ?? [])];
  for (const row of folded) rows.set(row, {});
  const foldedRows = new Set(rows.values());
  const table = {
    name: undefined,
    schema: undefined,
    columns: columnsOfEntry(settled(query.columns), false, rows),
    relation: undefined,
    namesRows: true,
  };
  const entry = single(aliased(facts, table, fields.alias));
  return { ...entry, conditions: query.conditions, rows: foldedRows };
}

function sampleItem(
  facts: StatementFacts,
  fields: FieldsOf<'RangeTableSample'>,
  outer: Scope | undefined,
  before: FromItem,
  lateral: Scope,
): FromItem {
  checkFields(facts, 'RangeTableSample', fields);
  const method = namesOf(fields.method) ?? [];
  if (!['bernoulli', 'system'].includes(method.at(-1) ?? '') || method.length > 2) {
    facts.refuse(`the sampling method ${method.join('.')} is not built in`, {
      location: fields.location,
    });
  }
  const sizes = expressions(
    facts,
    [...(fields.args ?? []), ...(fields.repeatable ? [fields.repeatable] : [])],
    lateral,
  );
  facts.noteShaping(derive(sizes));
  return fields.relation ? fromItem(facts, fields.relation, outer, before) : NOTHING;
}

function joinItem(
  facts: StatementFacts,
  fields: FieldsOf<'JoinExpr'>,
  outer: Scope | undefined,
  before: FromItem,
): FromItem {
  checkFields(facts, 'JoinExpr', fields);
  const left = fields.larg ? fromItem(facts, fields.larg, outer, before) : NOTHING;
  const seen = beside(before, left);
  const right = fields.rarg ? fromItem(facts, fields.rarg, outer, seen) : NOTHING;
  const both = beside(left, right);
  facts.spendOn(both.columns);
  facts.spendOn(both.tables);
  if (fields.isNatural && both.tables.some((table) => table.incomplete)) {
    facts.refuse('the columns that NATURAL JOIN compares are not known', {
      hint: 'Use JOIN … ON.',
    });
  }
  const shared = fields.isNatural ? commonNames(left, right) : (namesOf(fields.usingClause) ?? []);
  const sides = [columnsByName(left), columnsByName(right)] as const;
  const merged = shared.map((name) => mergedColumn(facts, name, sides, fields.jointype));
  const origins = new Set([
    ...both.conditions,
    ...merged.flatMap((column) => [...column.lineage.origins]),
  ]);
  if (fields.quals) {
    const scope: Scope = { tables: both.tables, columns: both.columns, outer };
    for (const origin of condition(facts, fields.quals, scope)) {
      origins.add(origin);
    }
  }
  const taken = new Set(shared);
  const columns = [...merged, ...without(left.columns, taken), ...without(right.columns, taken)];
  if (fields.alias) {
    const table = {
      name: undefined,
      schema: undefined,
      columns,
      relation: undefined,
      namesRows: true,
    };
    const rows = both.rows ?? new Set();
    return { ...single(aliased(facts, table, fields.alias)), conditions: origins, rows };
  }
  const using = fields.join_using_alias;
  const extra = using
    ? [{ name: using.aliasname, schema: undefined, columns: merged, relation: undefined }]
    : [];
  const tables = [...both.tables, ...extra];
  return { tables, columns, conditions: origins, rows: both.rows ?? new Set() };
}

function commonNames(left: FromItem, right: FromItem): string[] {
  const names = new Set(right.columns.map((column) => column.name));
  return [...new Set(left.columns.map((column) => column.name))].filter((name) => names.has(name));
}

function without(
  columns: readonly NamedLineage[],
  names: ReadonlySet<string>,
): readonly NamedLineage[] {
  return columns.filter((column) => !names.has(column.name));
}

type ColumnsByName = ReadonlyMap<string | undefined, readonly NamedLineage[]>;

/** Once for each side: tables of 1,500 columns are joined by all of them. */
function columnsByName({ columns }: FromItem): ColumnsByName {
  return Map.groupBy(columns, ({ name }) => name);
}

/** The one column that USING (name) leaves of two: it can hold the value of either side. */
function mergedColumn(
  facts: StatementFacts,
  name: string,
  columns: readonly [ColumnsByName, ColumnsByName],
  jointype: string | undefined,
): NamedLineage {
  facts.budget.spend(1);
  const sides = columns.flatMap((side) => {
    const found = side.get(name);
    return found === undefined ? [] : oneOf(found.map((column) => column.lineage));
  });
  if (sides.length < 2) {
    facts.refuse(`column ${name} of USING is not known on both sides`);
  }
  checkOperator(facts, ['='], sides, undefined);
  const compared = derive(sides);
  const [first, second] = sides;
  const isEquated = first && second && facts.noteEquated([first, second], `USING (${name})`);
  if (!isEquated) facts.noteComputed(compared, `USING (${name})`);
  facts.tie(compared.origins);
  facts.noteDeciding(compared.origins);
  refuseServerFiles(facts, compared, undefined);
  const kept = jointype === 'JOIN_RIGHT' ? sides[1] : sides[0];
  const identity = jointype === 'JOIN_FULL' ? undefined : kept?.identity;
  const { fields } = kept ?? compared;
  const isStored = first?.type === second?.type && STAYS_ITSELF.has(kept?.type);
  const row = identity && isStored ? kept?.row : undefined;
  const type = commonTypeOf(facts, sides);
  return { name, lineage: { ...compared, identity, row, type, fields } };
}

/**
 * Types without a length. Of two lengths, and of two types, USING makes a value of their common one, which
 * is no column of which the planner knows that it is a key.
 */
const STAYS_ITSELF: ReadonlySet<number | undefined> = new Set([
  TYPE.int2,
  TYPE.int4,
  TYPE.int8,
  TYPE.text,
  TYPE.uuid,
]);
