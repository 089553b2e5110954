/**
 * The nodes and fields of the grammar that the walk knows. A node or field that is not here makes
 * the statement opaque, so a newer parser cannot bring syntax that slips through.
 */

import type { StatementFacts } from '../facts/statement-facts.ts';
import type { Node } from '../parse/tree.ts';
import { outputName } from './output-name.ts';

/** Statements with a handler of their own. */
const STATEMENTS: Readonly<Record<string, string>> = {
  CallStmt: 'funccall',
  ClosePortalStmt: 'portalname',
  CopyStmt: 'relation query attlist is_from is_program filename options whereClause',
  CreateTableAsStmt: 'query into objtype is_select_into if_not_exists',
  DeallocateStmt: 'name isall',
  DeclareCursorStmt: 'portalname options query',
  DiscardStmt: 'target',
  DoStmt: 'args',
  ExecuteStmt: 'name params',
  ExplainStmt: 'query options',
  FetchStmt: 'direction howMany portalname ismove',
  PrepareStmt: 'name argtypes query',
  TransactionStmt: 'kind options savepoint_name gid chain',
  VariableSetStmt: 'kind name args jumble_args is_local',
  VariableShowStmt: 'name',
  ViewStmt: 'view aliases query replace options withCheckOption',
};

/** Nodes with a handler of their own: all fields that the handler looks at or may ignore. */
const HANDLED: Readonly<Record<string, string>> = {
  A_ArrayExpr: 'elements list_start list_end',
  A_Const: 'ival fval boolval sval bsval isnull',
  A_Expr: 'kind name lexpr rexpr rexpr_list_start rexpr_list_end',
  A_Indices: 'is_slice lidx uidx',
  A_Indirection: 'arg indirection',
  Alias: 'aliasname colnames',
  BoolExpr: 'boolop args',
  CTECycleClause:
    'cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column',
  CTESearchClause: 'search_col_list search_breadth_first search_seq_column',
  CaseExpr: 'arg args defresult',
  CaseWhen: 'expr result',
  ColumnRef: 'fields',
  CommonTableExpr:
    'ctename aliascolnames ctematerialized ctequery search_clause cycle_clause cterecursive',
  CurrentOfExpr: 'cursor_name cursor_param cvarno',
  DeleteStmt: 'relation usingClause whereClause returningClause withClause',
  FuncCall:
    'funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat',
  GroupingFunc: 'args',
  GroupingSet: 'kind content',
  InferClause: 'indexElems whereClause conname',
  IndexElem: 'name expr collation opclass ordering nulls_ordering',
  InsertStmt: 'relation cols selectStmt onConflictClause returningClause withClause override',
  IntoClause: 'rel colNames accessMethod options onCommit tableSpaceName skipData',
  JoinExpr: 'jointype isNatural larg rarg usingClause join_using_alias quals alias',
  JsonTable: 'context_item pathspec passing columns on_error alias lateral',
  JsonTableColumn: 'coltype name typeName pathspec format wrapper quotes columns on_empty on_error',
  JsonTablePathSpec: 'string name name_location',
  List: 'items',
  LockingClause: 'lockedRels strength waitPolicy',
  MergeStmt: 'relation sourceRelation joinCondition mergeWhenClauses returningClause withClause',
  MergeSupportFunc: 'msftype msfcollid',
  MergeWhenClause: 'matchKind commandType override condition targetList values',
  MultiAssignRef: 'source colno ncolumns',
  OnConflictClause: 'action infer targetList whereClause',
  ParamRef: 'number',
  RangeFunction: 'lateral ordinality is_rowsfrom functions alias coldeflist',
  RangeSubselect: 'lateral subquery alias',
  RangeTableFunc: 'lateral docexpr rowexpr namespaces columns alias',
  RangeTableFuncCol: 'colname typeName for_ordinality is_not_null colexpr coldefexpr',
  RangeTableSample: 'relation method args repeatable',
  RangeVar: 'catalogname schemaname relname inh relpersistence alias',
  ResTarget: 'name indirection val',
  ReturningClause: 'options exprs',
  ReturningOption: 'option value',
  RowExpr: 'args row_format',
  SQLValueFunction: 'op type typmod',
  SelectStmt:
    'distinctClause intoClause targetList fromClause whereClause groupClause groupDistinct havingClause windowClause valuesLists sortClause limitOffset limitCount limitOption lockingClause withClause op all larg rarg',
  SetToDefault: 'typeId typeMod collation',
  SortBy: 'node sortby_dir sortby_nulls useOp',
  SubLink: 'subLinkType subLinkId testexpr operName subselect',
  TypeCast: 'arg typeName',
  UpdateStmt: 'relation targetList whereClause fromClause returningClause withClause',
  WindowDef: 'name refname partitionClause orderClause frameOptions startOffset endOffset',
  WithClause: 'ctes recursive',
};

/**
 * What to do with a field of an expression that needs no handler: evaluate it (a node or a list of
 * nodes), evaluate it as the named node written without its tag, resolve it as a type, or nothing.
 */
export type Part = 'walk' | 'skip' | 'type' | 'window' | 'operator' | { readonly bare: string };

const SKIP = 'skip';
const WALK = 'walk';
const VALUE = { bare: 'JsonValueExpr' };
const OUTPUT = { bare: 'JsonOutput' };
const BEHAVIOR = { bare: 'JsonBehavior' };

/** Expressions whose value simply depends on all of their parts. */
export const COMBINED: Readonly<Record<string, Readonly<Record<string, Part>>>> = {
  BoolExpr: { boolop: SKIP, args: WALK },
  BooleanTest: { arg: WALK, booltesttype: SKIP },
  CoalesceExpr: { args: WALK },
  CollateClause: { arg: WALK, collname: SKIP },
  JsonAggConstructor: { output: OUTPUT, agg_filter: WALK, agg_order: WALK, over: 'window' },
  JsonArgument: { val: VALUE, name: SKIP },
  JsonArrayAgg: { constructor: { bare: 'JsonAggConstructor' }, arg: VALUE, absent_on_null: SKIP },
  JsonArrayConstructor: { exprs: WALK, output: OUTPUT, absent_on_null: SKIP },
  JsonArrayQueryConstructor: {
    query: WALK,
    output: OUTPUT,
    format: { bare: 'JsonFormat' },
    absent_on_null: SKIP,
  },
  JsonBehavior: { btype: SKIP, expr: WALK, coerce: SKIP },
  JsonFormat: { format_type: SKIP, encoding: SKIP },
  JsonFuncExpr: {
    op: SKIP,
    column_name: SKIP,
    context_item: VALUE,
    pathspec: WALK,
    passing: WALK,
    output: OUTPUT,
    on_empty: BEHAVIOR,
    on_error: BEHAVIOR,
    wrapper: SKIP,
    quotes: SKIP,
  },
  JsonIsPredicate: {
    expr: WALK,
    format: { bare: 'JsonFormat' },
    item_type: SKIP,
    unique_keys: SKIP,
  },
  JsonKeyValue: { key: WALK, value: VALUE },
  JsonObjectAgg: {
    constructor: { bare: 'JsonAggConstructor' },
    arg: { bare: 'JsonKeyValue' },
    absent_on_null: SKIP,
    unique: SKIP,
  },
  JsonObjectConstructor: { exprs: WALK, output: OUTPUT, absent_on_null: SKIP, unique: SKIP },
  JsonOutput: { typeName: 'type', returning: { bare: 'JsonReturning' } },
  JsonParseExpr: { expr: VALUE, output: OUTPUT, unique_keys: SKIP },
  JsonReturning: { format: { bare: 'JsonFormat' }, typid: SKIP, typmod: SKIP },
  JsonScalarExpr: { expr: WALK, output: OUTPUT },
  JsonSerializeExpr: { expr: VALUE, output: OUTPUT },
  JsonValueExpr: { raw_expr: WALK, formatted_expr: WALK, format: { bare: 'JsonFormat' } },
  MinMaxExpr: { op: SKIP, args: WALK },
  NamedArgExpr: { arg: WALK, name: SKIP, argnumber: SKIP },
  NullTest: { arg: WALK, nulltesttype: SKIP, argisrow: SKIP },
  // XMLATTRIBUTES (v AS name)
  ResTarget: { name: SKIP, indirection: SKIP, val: WALK },
  SortBy: { node: WALK, sortby_dir: SKIP, sortby_nulls: SKIP, useOp: 'operator' },
  XmlExpr: {
    op: SKIP,
    name: SKIP,
    named_args: WALK,
    arg_names: SKIP,
    args: WALK,
    xmloption: SKIP,
    indent: SKIP,
  },
  XmlSerialize: { xmloption: SKIP, expr: WALK, typeName: 'type', indent: SKIP },
};

/**
 * Keywords that look like calls, by the major version that has them. Before it they are no keywords,
 * and what the parser of today takes for part of the language calls a function of that name.
 */
const SINCE: Readonly<Record<string, number>> = {
  JsonArrayAgg: 16,
  JsonArrayConstructor: 16,
  JsonArrayQueryConstructor: 16,
  JsonFuncExpr: 17,
  JsonObjectAgg: 16,
  JsonObjectConstructor: 16,
  JsonParseExpr: 17,
  JsonScalarExpr: 17,
  JsonSerializeExpr: 17,
  MergeSupportFunc: 17,
};

/** Makes the statement opaque where the server takes this node for the call of a function. */
export function checkVersion(facts: StatementFacts, tag: string, node: Node): void {
  const since = SINCE[tag] ?? 0;
  if (facts.context.catalog.majorVersion >= since) return;
  const name = outputName(node);
  const meaning = 'on this server the name is that of a function';
  facts.refuse(`${name}() is SQL syntax only since PostgreSQL ${since}; ${meaning}`, {
    hint: `Name the schema of the function (schema.${name}).`,
  });
}

const FIELDS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({ ...HANDLED, ...STATEMENTS }).map(([tag, fields]) => [
    tag,
    new Set([...fields.split(' '), 'location']),
  ]),
);

/** Whether this kind of statement is handled field by field. */
export function isSessionStatement(tag: string): boolean {
  return tag in STATEMENTS;
}

/** Makes the statement opaque when `node` has a field that its handler does not know. */
export function checkFields(facts: StatementFacts, tag: string, node: object): void {
  const known = FIELDS.get(tag);
  for (const field of Object.keys(node)) {
    if (!known?.has(field)) {
      facts.unknown(`the field ${field} of ${tag}`);
    }
  }
}
