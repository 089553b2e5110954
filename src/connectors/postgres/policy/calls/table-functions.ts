import {
  constant,
  derive,
  type Lineage,
  type NamedLineage,
  withOrigins,
} from '../facts/lineage.ts';
import { findType } from '../facts/names.ts';
import { renameColumns, type Scope, type Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf, tagOf } from '../parse/tree.ts';
import { expression, expressions } from '../walk/expressions.ts';
import { checkFields } from '../walk/grammar.ts';
import { functionCall } from './function-call.ts';
import { isRowType, isScalarResult, TYPE } from './function-types.ts';
import { type CallResult, isCounting } from './functions.ts';

const XML = 142;

export function functionItem(
  facts: StatementFacts,
  fields: FieldsOf<'RangeFunction'>,
  scope: Scope,
): Table {
  checkFields(facts, 'RangeFunction', fields);
  const columns: NamedLineage[] = [];
  const entries = (fields.functions ?? []).flatMap(unnestApart);
  const several = entries.length > 1;
  let incomplete = false;
  for (const entry of entries) {
    // Each entry is a list of the call and its column definitions.
    const [call, definitions] = as(entry, 'List')?.items ?? [];
    const defined = fields.coldeflist ?? as(definitions, 'List')?.items;
    const called = calledColumns(facts, call, defined, scope, several ? undefined : fields.alias);
    columns.push(...called.columns);
    incomplete ||= called.incomplete;
  }
  if (fields.ordinality) {
    columns.push({ name: 'ordinality', lineage: constant(TYPE.int8) });
  }
  if (fields.alias) {
    checkFields(facts, 'Alias', fields.alias);
  }
  const [first] = fields.functions ?? [];
  return {
    name: fields.alias?.aliasname ?? functionName(as(first, 'List')?.items?.[0]),
    schema: undefined,
    columns: renameColumns(columns, namesOf(fields.alias?.colnames) ?? []),
    incomplete,
    relation: undefined,
  };
}

/** unnest(a, b) in FROM is short for ROWS FROM (unnest(a), unnest(b)). */
function unnestApart(entry: Node): readonly Node[] {
  const [call, definitions] = as(entry, 'List')?.items ?? [];
  const fields = as(call, 'FuncCall');
  const names = namesOf(fields?.funcname) ?? [];
  const builtIn = names.length === 1 || names.at(-2) === 'pg_catalog';
  if (!fields?.args || fields.args.length < 2 || names.at(-1) !== 'unnest' || !builtIn) {
    return [entry];
  }
  return fields.args.map((arg) => ({
    List: {
      items: [{ FuncCall: { ...fields, args: [arg] } }, ...(definitions ? [definitions] : [])],
    },
  }));
}

interface CalledColumns {
  readonly columns: readonly NamedLineage[];
  readonly incomplete: boolean;
}

function functionName(call: Node | undefined): string | undefined {
  return namesOf(as(call, 'FuncCall')?.funcname)?.at(-1);
}

/** The columns of one function call. */
function calledColumns(
  facts: StatementFacts,
  node: Node | undefined,
  definitions: readonly Node[] | undefined,
  scope: Scope,
  alias: FieldsOf<'Alias'> | undefined,
): CalledColumns {
  const call = as(node, 'FuncCall');
  // SQL syntax such as COALESCE(…) or CAST(…) may stand for a function here.
  const result: CallResult = call
    ? functionCall(facts, call, scope)
    : { lineage: expression(facts, node, scope), functions: [] };
  const name = functionName(node) ?? alias?.aliasname ?? '';
  const rows = node ? facts.rows(node, isCounting(name)) : undefined;
  const rowed = (lineage: Lineage): Lineage => (rows ? withOrigins(lineage, [rows]) : lineage);
  const value = rowed(result.lineage);
  if (definitions && definitions.length > 0) {
    const columns = definitions.map((definition) => definedColumn(facts, definition, value));
    return { columns, incomplete: false };
  }
  if (value.fields) {
    const columns = value.fields.map((field) => ({
      name: field.name,
      lineage: rowed(field.lineage),
    }));
    return { columns, incomplete: false };
  }
  // One scalar column: named after the OUT parameter, else the alias, else the function.
  const outputs = result.functions.map((one) => one.outputs?.map((output) => output.name) ?? []);
  const [single] = outputs[0] ?? [];
  const isOne = outputs.every((names) => names.length < 2 && names[0] === single);
  const column = {
    name: single || alias?.aliasname || name,
    lineage: { ...value, identity: undefined },
  };
  // Of several that it can mean, none may give a row: a series of dates is one of timestamps, too.
  const isOpen =
    value.type === undefined &&
    (result.functions.length === 0 || !isScalarResult(facts, result.functions));
  const isRow =
    !is(node, 'SQLValueFunction') &&
    (isOpen || value.type === TYPE.record || isRowType(facts, value.type));
  return { columns: [column], incomplete: !isOne || (isRow && single === undefined) };
}

function definedColumn(facts: StatementFacts, node: Node, value: Lineage): NamedLineage {
  const column = as(node, 'ColumnDef');
  if (!column) {
    facts.unknown(`${tagOf(node)} as a column definition`);
  }
  const type = findType(facts, column?.typeName);
  return { name: column?.colname ?? '', lineage: derive([value], type?.oid) };
}

export function xmlTableItem(
  facts: StatementFacts,
  fields: FieldsOf<'RangeTableFunc'>,
  scope: Scope,
): Table {
  checkFields(facts, 'RangeTableFunc', fields);
  const inputs = expressions(
    facts,
    [fields.docexpr, fields.rowexpr].flatMap((node) => node ?? []),
    scope,
  );
  for (const namespace of fields.namespaces ?? []) {
    inputs.push(expression(facts, as(namespace, 'ResTarget')?.val ?? namespace, scope));
  }
  const document = withOrigins(derive(inputs, XML), [facts.rows(fields, false)]);
  facts.noteShaping(derive(inputs));
  const columns = (fields.columns ?? []).map((node) => {
    const column = as(node, 'RangeTableFuncCol');
    if (!column) {
      facts.unknown(`${tagOf(node)} in XMLTABLE`);
      return { name: '', lineage: document };
    }
    checkFields(facts, 'RangeTableFuncCol', column);
    const own = expressions(
      facts,
      [column.colexpr, column.coldefexpr].flatMap((part) => part ?? []),
      scope,
    );
    const type = column.typeName ? findType(facts, column.typeName)?.oid : TYPE.int4;
    return { name: column.colname ?? '', lineage: derive([document, ...own], type) };
  });
  return named(facts, columns, fields.alias, 'xmltable');
}

export function jsonTableItem(
  facts: StatementFacts,
  fields: FieldsOf<'JsonTable'>,
  scope: Scope,
): Table {
  checkFields(facts, 'JsonTable', fields);
  const bare = (tag: 'JsonValueExpr' | 'JsonBehavior', value: object | undefined): Node[] =>
    value ? [bareNode(tag, value)] : [];
  const inputs = expressions(
    facts,
    [
      ...bare('JsonValueExpr', fields.context_item),
      ...(fields.passing ?? []),
      ...bare('JsonBehavior', fields.on_error),
      ...pathNodes(facts, fields.pathspec),
    ],
    scope,
  );
  facts.noteShaping(derive(inputs));
  const document = withOrigins(derive(inputs), [facts.rows(fields, false)]);
  return named(
    facts,
    jsonColumns(facts, fields.columns, document, scope),
    fields.alias,
    'json_table',
  );
}

/** NESTED PATH columns stand in one row with the others. */
function jsonColumns(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  document: Lineage,
  scope: Scope,
): NamedLineage[] {
  return (nodes ?? []).flatMap((node) => {
    const column = as(node, 'JsonTableColumn');
    if (!column) {
      facts.unknown(`${tagOf(node)} in JSON_TABLE`);
      return [];
    }
    checkFields(facts, 'JsonTableColumn', column);
    if (column.coltype === 'JTC_NESTED') {
      return facts.nested(() => jsonColumns(facts, column.columns, document, scope));
    }
    const behaviors = [column.on_empty, column.on_error].flatMap((behavior) =>
      behavior ? [bareNode('JsonBehavior', behavior)] : [],
    );
    const own = expressions(facts, [...behaviors, ...pathNodes(facts, column.pathspec)], scope);
    const type = column.typeName ? findType(facts, column.typeName)?.oid : TYPE.int4;
    return [{ name: column.name ?? '', lineage: derive([document, ...own], type) }];
  });
}

function pathNodes(
  facts: StatementFacts,
  path: FieldsOf<'JsonTablePathSpec'> | undefined,
): readonly Node[] {
  if (!path) {
    return [];
  }
  checkFields(facts, 'JsonTablePathSpec', path);
  return path.string ? [path.string] : [];
}

/** The parser writes some nodes without their tag where only one kind can stand. */
function bareNode(tag: 'JsonValueExpr' | 'JsonBehavior', value: object): Node {
  return tag === 'JsonValueExpr' ? { JsonValueExpr: value } : { JsonBehavior: value };
}

function named(
  facts: StatementFacts,
  columns: readonly NamedLineage[],
  alias: FieldsOf<'Alias'> | undefined,
  fallback: string,
): Table {
  if (alias) {
    checkFields(facts, 'Alias', alias);
  }
  return {
    name: alias?.aliasname ?? fallback,
    schema: undefined,
    columns: renameColumns(columns, namesOf(alias?.colnames) ?? []),
    relation: undefined,
  };
}
