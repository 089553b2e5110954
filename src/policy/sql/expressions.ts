/** Where the value of each kind of expression comes from. */

import { functionCall } from './function-call.ts';
import { callFunction, checkOperator, elementType, hasUserCast, TYPE } from './functions.ts';
import { COMBINED, checkFields, type Part } from './grammar.ts';
import {
  constant,
  derive,
  type Lineage,
  type NamedLineage,
  type Origin,
  oneOf,
  unite,
  withOrigins,
} from './lineage.ts';
import { findType } from './names.ts';
import { refuseSensitive, rowTypeRelation, visibleColumns } from './relation-columns.ts';
import {
  columnOf,
  findColumn,
  findTable,
  hasIncomplete,
  type Scope,
  type Table,
  wholeRow,
} from './scope.ts';
import { columnFacts, type StatementFacts } from './statement-facts.ts';
import { as, type FieldsOf, is, type Node, namesOf, stringOf, tagOf } from './tree.ts';

export function expression(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): Lineage {
  if (node === undefined || tagOf(node) === undefined) {
    return constant();
  }
  const lineage = facts.nested(() => evaluate(facts, node, scope));
  facts.noteEvaluated(lineage);
  return lineage;
}

export function expressions(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  scope: Scope | undefined,
): Lineage[] {
  return (nodes ?? []).map((node) => expression(facts, node, scope));
}

function evaluate(facts: StatementFacts, node: Node, scope: Scope | undefined): Lineage {
  const tag = tagOf(node) ?? '';
  const parts = COMBINED[tag];
  if (parts) {
    return combined(facts, tag, parts, Object.values(node)[0], scope);
  }
  if (is(node, 'ColumnRef')) return columnRef(facts, node.ColumnRef, scope);
  if (is(node, 'A_Const')) return literal(facts, node.A_Const);
  if (is(node, 'ParamRef')) return parameter(facts, node.ParamRef);
  if (is(node, 'A_Expr')) return operation(facts, node.A_Expr, scope);
  if (is(node, 'FuncCall')) return functionCall(facts, node.FuncCall, scope).lineage;
  if (is(node, 'TypeCast')) return cast(facts, node.TypeCast, scope);
  if (is(node, 'SubLink')) return subLink(facts, node.SubLink, scope);
  if (is(node, 'CaseExpr')) return caseOf(facts, node.CaseExpr, scope);
  if (is(node, 'A_Indirection')) return indirection(facts, node.A_Indirection, scope);
  if (is(node, 'RowExpr')) return rowOf(facts, node.RowExpr, scope);
  if (is(node, 'A_ArrayExpr')) return arrayOf(facts, node.A_ArrayExpr, scope);
  if (is(node, 'List')) {
    checkFields(facts, 'List', node.List);
    return derive(expressions(facts, node.List.items, scope));
  }
  if (is(node, 'GroupingFunc')) {
    checkFields(facts, 'GroupingFunc', node.GroupingFunc);
    return derive(expressions(facts, node.GroupingFunc.args, scope), TYPE.int4);
  }
  if (is(node, 'MultiAssignRef')) {
    checkFields(facts, 'MultiAssignRef', node.MultiAssignRef);
    return expression(facts, node.MultiAssignRef.source, scope);
  }
  if (is(node, 'SQLValueFunction'))
    return ownValue(facts, 'SQLValueFunction', node.SQLValueFunction);
  if (is(node, 'SetToDefault')) return ownValue(facts, 'SetToDefault', node.SetToDefault);
  if (is(node, 'CurrentOfExpr')) return ownValue(facts, 'CurrentOfExpr', node.CurrentOfExpr);
  if (is(node, 'MergeSupportFunc'))
    return ownValue(facts, 'MergeSupportFunc', node.MergeSupportFunc);
  if (is(node, 'SelectStmt')) {
    // JSON_ARRAY(SELECT …) holds a query where other nodes hold an expression.
    return derive(facts.walks.query(facts, node, scope).columns.map((column) => column.lineage));
  }
  facts.unknown(tag);
  return constant();
}

/** Session values such as CURRENT_USER: no column reaches them. */
function ownValue(facts: StatementFacts, tag: string, fields: object): Lineage {
  checkFields(facts, tag, fields);
  return constant();
}

const BOOLEAN_NODES: ReadonlySet<string> = new Set([
  'BoolExpr',
  'BooleanTest',
  'JsonIsPredicate',
  'NullTest',
]);

function combined(
  facts: StatementFacts,
  tag: string,
  parts: Readonly<Record<string, Part>>,
  fields: unknown,
  scope: Scope | undefined,
): Lineage {
  const found: Lineage[] = [];
  let type = BOOLEAN_NODES.has(tag) ? TYPE.bool : undefined;
  for (const [name, value] of Object.entries(fields ?? {})) {
    const part = name === 'location' || name === 'xpr' ? 'skip' : parts[name];
    if (part === undefined) {
      facts.unknown(`the field ${name} of ${tag}`);
    } else if (part === 'type') {
      type = findType(facts, value)?.oid;
    } else if (part === 'operator') {
      checkOperator(facts, namesOf(value) ?? [], [], undefined);
    } else if (part === 'window') {
      found.push({ ...constant(), origins: windowOrigins(facts, value, scope) });
    } else if (typeof part === 'object') {
      const bare = COMBINED[part.bare] ?? {};
      found.push(facts.nested(() => combined(facts, part.bare, bare, value, scope)));
    } else if (part === 'walk') {
      const nodes: Node[] = Array.isArray(value) ? value : [value];
      found.push(...expressions(facts, nodes, scope));
    }
  }
  if (tag === 'CollateClause' && found[0]) {
    return found[0];
  }
  if (tag === 'CoalesceExpr' || tag === 'MinMaxExpr') {
    return chosen(found);
  }
  return derive(found, type);
}

/** One of several values; literals and NULL take the type of the others. */
function chosen(values: readonly Lineage[]): Lineage {
  const typed = oneOf(values.filter((value) => value.type !== TYPE.unknown));
  return derive(values, typed.type, typed.fields);
}

/** `a`, `t.a`, `s.t.a`, `t.*` and `t`; and `t.f`, which can also be the call f(t). */
function columnRef(
  facts: StatementFacts,
  fields: FieldsOf<'ColumnRef'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'ColumnRef', fields);
  const parts = fields.fields ?? [];
  const names = parts.flatMap((part) => stringOf(part) ?? []);
  const found = is(parts.at(-1), 'A_Star')
    ? starRow(facts, names, scope)
    : namedValue(facts, names, scope, fields.location);
  if (!found) {
    // Of an unknown relation the columns are unknown too: one reason is enough.
    if (facts.opaque.length === 0 || !hasIncomplete(scope)) {
      facts.refuse(`column ${names.join('.')} is not known`, { location: fields.location });
    }
    return constant();
  }
  refuseSensitive(facts, found, fields.location);
  return found;
}

function namedValue(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
  location: number | undefined,
): Lineage | undefined {
  const name = names.at(-1) ?? '';
  const [first = ''] = names;
  if (names.length === 1) {
    const column = findColumn(facts, scope, first);
    if (column) {
      return column;
    }
    const table = findTable(scope, first);
    return table ? wholeRow(table) : undefined;
  }
  const table = tableNamed(facts, names.slice(0, -1), scope);
  if (!table) {
    return undefined;
  }
  return columnOf(facts, table, name) ?? attributeCall(facts, name, wholeRow(table), location);
}

/** The table that `t`, `s.t` or `db.s.t` means. */
function tableNamed(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
): Table | undefined {
  const [database] = names.slice(-3, -2);
  if (names.length > 3 || (database !== undefined && database !== facts.context.catalog.database)) {
    return undefined;
  }
  return findTable(scope, names.at(-1) ?? '', names.at(-2));
}

/** The whole row of `t.*` used as a value. */
function starRow(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
): Lineage | undefined {
  if (names.length === 0) {
    const columns = scope?.columns ?? [];
    return derive(
      columns.map((column) => column.lineage),
      undefined,
      columns,
    );
  }
  const table = tableNamed(facts, names, scope);
  return table ? wholeRow(table) : undefined;
}

/** The columns that `*` and `t.*` stand for in a target list; undefined after saying why not. */
export function starColumns(
  facts: StatementFacts,
  node: Node,
  scope: Scope | undefined,
): readonly NamedLineage[] | undefined {
  const row = is(node, 'A_Indirection')
    ? indirection(facts, node.A_Indirection, scope)
    : columnRef(facts, as(node, 'ColumnRef') ?? {}, scope);
  const names = (as(node, 'ColumnRef')?.fields ?? []).flatMap((part) => stringOf(part) ?? []);
  const unclear = !row.fields || isIncomplete(facts, node, names, scope);
  if (unclear && (facts.opaque.length === 0 || !hasIncomplete(scope))) {
    facts.refuse('the columns that this * stands for are not known', {
      hint: 'Name the columns.',
    });
  }
  return row.fields;
}

/** Whether a table of which not all columns are known is part of the star. */
function isIncomplete(
  facts: StatementFacts,
  node: Node,
  names: readonly string[],
  scope: Scope | undefined,
): boolean {
  if (!is(node, 'ColumnRef')) {
    return false;
  }
  const tables = names.length === 0 ? scope?.tables : [tableNamed(facts, names, scope)];
  return tables?.some((table) => table?.incomplete) ?? false;
}

/** `x.f` or `(x).f` where x has no field f: PostgreSQL then calls f(x). */
function attributeCall(
  facts: StatementFacts,
  name: string,
  argument: Lineage,
  location: number | undefined,
): Lineage | undefined {
  return callFunction(facts, { names: [name], args: [argument], location })?.lineage;
}

function indirection(
  facts: StatementFacts,
  fields: FieldsOf<'A_Indirection'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_Indirection', fields);
  let value = expression(facts, fields.arg, scope);
  for (const step of fields.indirection ?? []) {
    const name = stringOf(step);
    const indices = as(step, 'A_Indices');
    if (name !== undefined) {
      value = fieldOf(facts, value, name);
    } else if (indices) {
      checkFields(facts, 'A_Indices', indices);
      const inner = expressions(
        facts,
        [indices.lidx, indices.uidx].flatMap((index) => index ?? []),
        scope,
      );
      const type = indices.is_slice ? value.type : elementType(facts, value.type);
      value = derive([value, ...inner], type, value.fields);
    } else if (!is(step, 'A_Star')) {
      facts.unknown('this subscript');
    }
  }
  return value;
}

function fieldOf(facts: StatementFacts, value: Lineage, name: string): Lineage {
  const found = value.fields?.filter((field) => field.name === name) ?? [];
  if (found.length > 0) {
    const field = oneOf(found.map((candidate) => candidate.lineage));
    refuseSensitive(facts, field, undefined);
    return field;
  }
  return attributeCall(facts, name, value, undefined) ?? derive([value]);
}

function literal(facts: StatementFacts, fields: FieldsOf<'A_Const'>): Lineage {
  checkFields(facts, 'A_Const', fields);
  if (fields.ival) return constant(TYPE.int4);
  if (fields.fval) return constant(TYPE.numeric);
  if (fields.boolval) return constant(TYPE.bool);
  return constant(TYPE.unknown);
}

function parameter(facts: StatementFacts, fields: FieldsOf<'ParamRef'>): Lineage {
  checkFields(facts, 'ParamRef', fields);
  const declared = facts.parameterTypes[(fields.number ?? 0) - 1];
  return constant(declared || TYPE.unknown);
}

const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '!=', '<', '>', '<=', '>=']);

function operation(
  facts: StatementFacts,
  fields: FieldsOf<'A_Expr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_Expr', fields);
  const operands: Lineage[] = [];
  for (const side of [fields.lexpr, fields.rexpr]) {
    const items = fields.kind === 'AEXPR_OP' ? undefined : as(side, 'List')?.items;
    if (items) {
      operands.push(derive(expressions(facts, items, scope), itemType(facts, items)));
    } else if (side) {
      operands.push(expression(facts, side, scope));
    }
  }
  const names = namesOf(fields.name) ?? [];
  const between = fields.kind?.includes('BETWEEN');
  for (const operator of between ? [['>='], ['<=']] : [names]) {
    // ANY and ALL compare with elements, whose type is not that of the operand.
    const comparable = fields.kind === 'AEXPR_OP_ANY' || fields.kind === 'AEXPR_OP_ALL';
    checkOperator(
      facts,
      operator,
      comparable
        ? operands.map((side) => ({ ...side, type: elementType(facts, side.type) ?? side.type }))
        : operands,
      fields.location,
    );
  }
  const isTest = fields.kind !== 'AEXPR_OP' || COMPARISONS.has(names.at(-1) ?? '');
  const type = fields.kind === 'AEXPR_NULLIF' ? operands[0]?.type : isTest ? TYPE.bool : undefined;
  return derive(operands, type);
}

/** The common type of a list of literals, so that `x IN ('a', 'b')` compares with what x is. */
function itemType(facts: StatementFacts, items: readonly Node[]): number | undefined {
  const literals = items.map((item) => as(item, 'A_Const'));
  return literals.every((item) => item !== undefined)
    ? literal(facts, literals[0] ?? {}).type
    : undefined;
}

function cast(
  facts: StatementFacts,
  fields: FieldsOf<'TypeCast'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'TypeCast', fields);
  const value = expression(facts, fields.arg, scope);
  const type = findType(facts, fields.typeName);
  if (type && value.type !== undefined && hasUserCast(facts, value.type, type.oid)) {
    facts.runsUserCode = true;
    facts.refuse(`the cast to ${type.name} runs code that is not built in`, {
      location: fields.location,
    });
  }
  const row = rowTypeRelation(facts, type?.oid);
  const columns = row ? visibleColumns(row) : undefined;
  // ROW(a, b)::t keeps a and b apart; a text turned into a row does not.
  const apart = value.fields?.length === columns?.length ? value.fields : undefined;
  const shape = columns?.map((column, index) => ({
    name: column.name,
    lineage: { ...(apart?.[index]?.lineage ?? derive([value])), type: column.typeOid },
  }));
  return derive([value], type?.oid, shape);
}

function caseOf(
  facts: StatementFacts,
  fields: FieldsOf<'CaseExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'CaseExpr', fields);
  const subject = expression(facts, fields.arg, scope);
  const conditions = fields.arg ? [subject] : [];
  const results: Lineage[] = [];
  for (const node of fields.args ?? []) {
    const when = as(node, 'CaseWhen');
    if (!when) {
      facts.unknown('this part of CASE', fields.location);
      continue;
    }
    checkFields(facts, 'CaseWhen', when);
    const condition = expression(facts, when.expr, scope);
    conditions.push(condition);
    results.push(expression(facts, when.result, scope));
    if (fields.arg) {
      checkOperator(facts, ['='], [subject, condition], fields.location);
    }
  }
  if (fields.defresult) {
    results.push(expression(facts, fields.defresult, scope));
  }
  for (const condition of conditions) {
    facts.noteInferred(condition);
  }
  const value = chosen(results);
  // Which branch was taken tells about the conditions, so they are sources like the results.
  return derive([...conditions, ...results], value.type, value.fields);
}

function subLink(
  facts: StatementFacts,
  fields: FieldsOf<'SubLink'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'SubLink', fields);
  const inner = facts.walks.query(facts, fields.subselect, scope);
  const rows = { ...constant(TYPE.bool), origins: inner.conditions };
  const values = inner.columns.map((column) => column.lineage);
  switch (fields.subLinkType) {
    case 'EXISTS_SUBLINK':
      return rows;
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const test = expression(facts, fields.testexpr, scope);
      const operator = namesOf(fields.operName) ?? [];
      const sides = values.length === 1 ? [test, ...values] : [];
      checkOperator(facts, operator.length > 0 ? operator : ['='], sides, fields.location);
      return derive([test, ...values], TYPE.bool);
    }
    case 'EXPR_SUBLINK':
    case 'ARRAY_SUBLINK': {
      const value = derive(values);
      const [first] = values;
      // (SELECT 1 … WHERE …) is a test in the dress of a value.
      const isTest = columnFacts(value.origins).length === 0;
      const lineage = isTest ? withOrigins(value, inner.conditions) : value;
      const isArray = fields.subLinkType === 'ARRAY_SUBLINK';
      const arrayType = facts.context.catalog.typeByOid(first?.type ?? 0)?.arrayOid;
      return {
        ...lineage,
        type: isArray ? arrayType || undefined : first?.type,
        // With several columns (UPDATE … SET (a, b) = (SELECT …)) it is a row.
        fields: values.length === 1 ? first?.fields : inner.columns,
      };
    }
    default:
      facts.unknown(`the subquery kind ${fields.subLinkType}`, fields.location);
      return derive(values);
  }
}

function rowOf(
  facts: StatementFacts,
  fields: FieldsOf<'RowExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'RowExpr', fields);
  const parts = (fields.args ?? []).flatMap((node) =>
    isStar(node)
      ? (starColumns(facts, node, scope) ?? []).map((column) => column.lineage)
      : [expression(facts, node, scope)],
  );
  return derive(
    parts,
    TYPE.record,
    parts.map((lineage, index) => ({ name: `f${index + 1}`, lineage })),
  );
}

/** `*`, `t.*` or `(x).*`. */
export function isStar(node: Node | undefined): boolean {
  const steps = as(node, 'ColumnRef')?.fields ?? as(node, 'A_Indirection')?.indirection;
  return is(steps?.at(-1), 'A_Star');
}

function arrayOf(
  facts: StatementFacts,
  fields: FieldsOf<'A_ArrayExpr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_ArrayExpr', fields);
  const elements = expressions(facts, fields.elements, scope);
  // Literals alone make an array of text.
  const literals = elements.length > 0 && elements.every((one) => one.type === TYPE.unknown);
  const common = literals ? constant(TYPE.text) : chosen(elements);
  const element = facts.context.catalog.typeByOid(common.type ?? 0);
  return derive(elements, element?.arrayOid || undefined, common.fields);
}

/**
 * A condition: its columns show through inference, and columns compared with each other in one
 * test can show each other's values.
 * @returns everything that the condition depends on
 */
export function condition(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): ReadonlySet<Origin> {
  const parts = as(node, 'BoolExpr');
  if (parts) {
    checkFields(facts, 'BoolExpr', parts);
    return facts.nested(() => {
      const origins = new Set<Origin>();
      for (const part of parts.args ?? []) {
        for (const origin of condition(facts, part, scope)) {
          origins.add(origin);
        }
      }
      return origins;
    });
  }
  const test = expression(facts, node, scope);
  facts.noteInferred(test);
  facts.tie(test.origins);
  return test.origins;
}

/** What a window depends on: its own PARTITION BY, ORDER BY and frame, and the named one it builds on. */
export function windowOrigins(
  facts: StatementFacts,
  window: FieldsOf<'WindowDef'> | undefined,
  scope: Scope | undefined,
): ReadonlySet<Origin> {
  if (!window) {
    return new Set();
  }
  checkFields(facts, 'WindowDef', window);
  const parts = expressions(
    facts,
    [
      ...(window.partitionClause ?? []),
      ...(window.orderClause ?? []),
      ...(window.startOffset ? [window.startOffset] : []),
      ...(window.endOffset ? [window.endOffset] : []),
    ],
    scope,
  );
  for (const part of parts) {
    facts.noteInferred(part);
  }
  const named = [window.name, window.refname].flatMap((name) => {
    const origins = name === undefined ? undefined : windowNamed(scope, name);
    return origins ? [{ ...constant(), origins }] : [];
  });
  return unite([...parts, ...named]);
}

function windowNamed(scope: Scope | undefined, name: string): ReadonlySet<Origin> | undefined {
  for (let level = scope; level; level = level.outer) {
    const origins = level.windows?.get(name);
    if (origins) {
      return origins;
    }
  }
  return undefined;
}
