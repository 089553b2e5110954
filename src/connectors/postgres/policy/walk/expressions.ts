/** Where the value of each kind of expression comes from. */
import { noteCast, noteCommonType } from '../calls/applied-casts.ts';
import { checkOperation } from '../calls/check-operation.ts';
import { functionCall } from '../calls/function-call.ts';
import { commonTypeOf, concreteType, elementType, TYPE } from '../calls/function-types.ts';
import { type Applied, checkOperator } from '../calls/operators.ts';
import { isConstant, isScalar, isStringOfColumn, storedStrings } from '../calls/total-functions.ts';
import {
  constant,
  derive,
  type Lineage,
  mixed,
  type NamedLineage,
  oneOf,
  retyped,
  unite,
  withoutRow,
  withoutRows,
} from '../facts/lineage.ts';
import { findType } from '../facts/names.ts';
import { rowTypeRelation, visibleColumns } from '../facts/row-types.ts';
import { hasIncomplete, type Scope } from '../facts/scope.ts';
import { comparesSettings } from '../facts/setting-lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { isString } from '../facts/string-types.ts';
import {
  castDocument,
  chosenDocument,
  coalescedDocument,
  literalDocument,
  nullDeciders,
} from '../json/json-carriers.ts';
import { jsonConstructor } from '../json/json-constructors.ts';
import { jsonOperation } from '../json/json-operators.ts';
import { rowShape } from '../json/json-shape.ts';
import { as, type FieldsOf, is, type Node, namesOf, stringOf, tagOf } from '../parse/tree.ts';
import { columnRef, fieldOf, isIncomplete, isStar } from './column-references.ts';
import { arrayOf, caseOf, rowOf, subLink } from './compound-expressions.ts';
import { windowOrigins } from './conditions.ts';
import { COMBINED, checkFields, checkVersion, type Part } from './grammar.ts';
import { hasOneUse } from './parameter-uses.ts';
import { asksForWords } from './statement-words.ts';

export function expression(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): Lineage {
  if (node === undefined || tagOf(node) === undefined) {
    return constant();
  }
  const value = facts.nested(() => evaluate(facts, node, scope));
  const lineage = is(node, 'ColumnRef') ? value : withoutRow(value);
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
  checkVersion(facts, tag, node);
  const document = jsonConstructor(facts, node, scope);
  if (document) return document;
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
    return facts.test(expressions(facts, node.GroupingFunc.args, scope), 'GROUPING', TYPE.int4);
  }
  if (is(node, 'MultiAssignRef')) {
    checkFields(facts, 'MultiAssignRef', node.MultiAssignRef);
    return expression(facts, node.MultiAssignRef.source, scope);
  }
  if (is(node, 'SQLValueFunction'))
    return {
      ...ownValue(facts, 'SQLValueFunction', node.SQLValueFunction),
      type: VALUE_TYPES[node.SQLValueFunction.op?.replace(/_N$/, '') ?? ''],
    };
  if (is(node, 'SetToDefault')) {
    facts.usesDefaults = true;
    return { ...ownValue(facts, 'SetToDefault', node.SetToDefault), type: TYPE.unknown };
  }
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

/** date, timetz, timestamptz, time, timestamp, name. */
const VALUE_TYPES: Readonly<Record<string, number>> = {
  SVFOP_CURRENT_DATE: 1082,
  SVFOP_CURRENT_TIME: 1266,
  SVFOP_CURRENT_TIMESTAMP: 1184,
  SVFOP_LOCALTIME: 1083,
  SVFOP_LOCALTIMESTAMP: 1114,
  SVFOP_CURRENT_ROLE: 19,
  SVFOP_CURRENT_USER: 19,
  SVFOP_USER: 19,
  SVFOP_SESSION_USER: 19,
  SVFOP_CURRENT_CATALOG: 19,
  SVFOP_CURRENT_SCHEMA: 19,
};

const TESTS: ReadonlySet<string> = new Set(['BoolExpr', 'BooleanTest', 'JsonIsPredicate']);

/** A node whose value depends on all of its parts. */
export function combined(
  facts: StatementFacts,
  tag: string,
  parts: Readonly<Record<string, Part>>,
  fields: unknown,
  scope: Scope | undefined,
): Lineage {
  const found: Lineage[] = [];
  let type: number | undefined;
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
  return resultOfNode(facts, tag, found, { type, fields });
}

function resultOfNode(
  facts: StatementFacts,
  tag: string,
  found: readonly Lineage[],
  { type, fields }: { readonly type: number | undefined; readonly fields: unknown },
): Lineage {
  const [first] = found;
  if (first && tag === 'CollateClause') {
    return { ...first, collated: true };
  }
  if (WRAPPERS.has(tag)) {
    return first && found.length === 1
      ? derive(found, first.type, first.fields)
      : derive(found, type);
  }
  if (first && tag === 'NullTest') {
    const deciders = nullDeciders(facts, first);
    return derive(
      deciders.map((value) => facts.nullTest(value, 'IS NULL', TYPE.bool)),
      TYPE.bool,
    );
  }
  if (TESTS.has(tag)) {
    return facts.test(found, NODE_WORDS[tag] ?? 'a test', TYPE.bool);
  }
  if (tag === 'CoalesceExpr' || tag === 'MinMaxExpr') {
    noteCommonType(facts, found, commonTypeOf(facts, found));
  }
  if (tag === 'CoalesceExpr') {
    return coalesced(facts, argumentsOf(fields), found);
  }
  facts.combine(found);
  facts.noteComputed(derive(found), NODE_WORDS[tag] ?? 'an expression');
  return tag === 'MinMaxExpr'
    ? { ...chosen(facts, found), document: undefined }
    : derive(found, type);
}

/** Nodes around a value of which the node around them says what is done with it. */
const WRAPPERS: ReadonlySet<string> = new Set([
  'JsonArgument',
  'JsonBehavior',
  'JsonFormat',
  'JsonKeyValue',
  'JsonOutput',
  'JsonReturning',
  'JsonValueExpr',
  'NamedArgExpr',
  'ResTarget',
  'SortBy',
]);

/** What these nodes are in a statement. */
const NODE_WORDS: Readonly<Record<string, string>> = {
  BoolExpr: 'a condition',
  BooleanTest: 'IS TRUE',
  JsonIsPredicate: 'IS JSON',
  MinMaxExpr: 'GREATEST or LEAST',
  XmlExpr: 'an XML expression',
  XmlSerialize: 'XMLSERIALIZE',
};

function stored(nodes: readonly Node[], found: readonly Lineage[]): number {
  return found.filter((_, index) => !isConstant(nodes[index])).length;
}

function argumentsOf(fields: unknown): readonly Node[] {
  const args: unknown = Object(fields).args;
  return Array.isArray(args) ? args : [];
}

/** COALESCE(email, '') goes on: it is the string or a constant, and what of both is not shown. */
function coalesced(
  facts: StatementFacts,
  nodes: readonly Node[],
  found: readonly Lineage[],
): Lineage {
  const value = coalescedDocument(chosen(facts, found));
  if (value.document) {
    return value;
  }
  const strings = storedStrings(facts.context.catalog, nodes, found);
  if (strings && strings.length === stored(nodes, found) && found.every(isStringOrValue)) {
    noteNullTests(facts, nodes, found);
    return { ...value, identity: undefined, type: value.type ?? TYPE.text, total: true };
  }
  facts.combine(found);
  facts.noteComputed(value, 'COALESCE');
  return value;
}

/** A constant of a domain is checked when its turn comes, and may fail then. */
function isStringOrValue(value: Lineage): boolean {
  return value.origins.size > 0 || value.type === TYPE.unknown || isString(value.type);
}

/** Whether the next value is worked out, which can fail or take its time, says that this one is NULL. */
function noteNullTests(
  facts: StatementFacts,
  nodes: readonly Node[],
  found: readonly Lineage[],
): void {
  // 'x'::text::timestamptz::text is worked out when its turn comes, and fails then.
  const isLiteral = (node: Node): boolean => !is(as(node, 'TypeCast')?.arg, 'TypeCast');
  const last = nodes.findLastIndex((node) => !isConstant(node) || !isLiteral(node));
  for (const { origins } of found.slice(0, last)) facts.noteNullTested(origins, 'COALESCE');
}

/** One of several values; literals and NULL take the type of the others. */
export function chosen(
  facts: StatementFacts,
  values: readonly Lineage[],
  type: number | undefined = commonTypeOf(facts, values),
): Lineage {
  const typed = oneOf(values.filter((value) => value.type !== TYPE.unknown));
  // A literal such as '(2,guess)' or a parameter is a row of that type, too.
  const isMixed = values.some((value) => {
    return value.type === TYPE.unknown && value.document?.content.type !== 'null';
  });
  const { fields } = isMixed ? mixed(typed) : typed;
  return { ...derive(values, type, fields), document: chosenDocument(values) };
}

/**
 * One of several values is carried on. The server converts them to one type where they differ, and
 * a conversion can fail for some values and not for others.
 */
export function noteUnified(
  facts: StatementFacts,
  values: readonly Lineage[],
  by: string,
  type: number | undefined = commonTypeOf(facts, values),
): void {
  noteCommonType(facts, values, type);
  const typed = values.filter((value) => value.type !== TYPE.unknown);
  const [first] = typed;
  const isOne =
    typed.every((value) => value.type !== undefined && value.type === first?.type) ||
    typed.every((value) => isString(value.type));
  if (!isOne) facts.noteComputed(derive(typed), by);
}

/** MaxTupleAttributeNumber: target lists and ROW() of the server have no more entries. */
const MAX_ENTRIES = 1664;

/**
 * Joins the entries of a target list or a row, of which a star gives many: `SELECT s.*, s.*` from a
 * query that says the same, thirty times, would be more columns than there is memory.
 */
export function entries<T>(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  entriesOf: (node: Node) => readonly T[],
): T[] {
  const all: T[] = [];
  for (const node of nodes ?? []) {
    const more = entriesOf(node);
    if (all.length + more.length > MAX_ENTRIES) {
      facts.refuse(`lists and rows can have at most ${MAX_ENTRIES} entries`);
      break;
    }
    all.push(...more);
  }
  return all;
}

/** A list of VALUES, ROW() or INSERT of a MERGE: `t.*` stands for all of its columns there. */
export function listed(
  facts: StatementFacts,
  nodes: readonly Node[] | undefined,
  scope: Scope | undefined,
): Lineage[] {
  return entries(facts, nodes, (node) =>
    isStar(node)
      ? (starColumns(facts, node, scope) ?? []).map((column) => column.lineage)
      : [expression(facts, node, scope)],
  );
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
    facts.refuse('the columns behind this * are not known', {
      hint: 'Name the columns.',
    });
  }
  return is(node, 'ColumnRef') ? row.fields : row.fields && withoutRows(row.fields);
}

export function indirection(
  facts: StatementFacts,
  fields: FieldsOf<'A_Indirection'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_Indirection', fields);
  let value = expression(facts, fields.arg, scope);
  // Where one of several subscripts is a slice, all are.
  const isSliced = (fields.indirection ?? []).some((step) => as(step, 'A_Indices')?.is_slice);
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
      const type = isSliced ? value.type : subscripted(facts, value.type);
      facts.combine([value, ...inner]);
      value = derive([value, ...inner], type, value.fields);
      facts.noteComputed(value, 'a subscript');
    } else if (!is(step, 'A_Star')) {
      facts.unknown('this subscript');
    }
  }
  return value;
}

/** One subscript or several, of an array of one dimension or several: it gives an element. */
function subscripted(facts: StatementFacts, type: number | undefined): number | undefined {
  return elementType(facts, concreteType(facts, type));
}

function literal(facts: StatementFacts, fields: FieldsOf<'A_Const'>): Lineage {
  checkFields(facts, 'A_Const', fields);
  if (fields.ival) return constant(TYPE.int4);
  if (fields.fval) return constant(numberType(fields.fval.fval ?? ''));
  if (fields.boolval) return constant(TYPE.bool);
  if (fields.bsval) return constant(TYPE.bit);
  return { ...constant(TYPE.unknown), document: literalDocument(fields) };
}

/** Integers that do not fit into int4 come from the lexer as text, and so does the least that fits. */
function numberType(text: string): number {
  const [, sign = '', digits] =
    /^(-?)(\d+|0x[\da-f]+|0o[0-7]+|0b[01]+)$/i.exec(text.replaceAll('_', '')) ?? [];
  if (digits === undefined) return TYPE.numeric;
  const value = BigInt(digits) * (sign === '-' ? -1n : 1n);
  if (BigInt.asIntN(32, value) === value) return TYPE.int4;
  return BigInt.asIntN(64, value) === value ? TYPE.int8 : TYPE.numeric;
}

function parameter(facts: StatementFacts, fields: FieldsOf<'ParamRef'>): Lineage {
  checkFields(facts, 'ParamRef', fields);
  const number = fields.number ?? 0;
  const declared = facts.parameterTypes[number - 1];
  if (declared) return constant(declared);
  const isOpen = !hasOneUse(facts, number);
  return { ...constant(TYPE.unknown), ...(isOpen ? { isOpen: true } : {}) };
}

const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '!=', '<', '>', '<=', '>=']);
/** Built-in operators with two operands whose result is a boolean, whatever their types. */
const TESTING: ReadonlySet<string> = new Set([
  ...['~', '~*', '!~', '!~*', '~~', '~~*', '!~~', '!~~*', '^@', '~<~', '~<=~', '~>~', '~>=~'],
  ...['@>', '<@', '&&', '?', '?|', '?&', '@?', '@@', '-|-', '*=', '*<>', '*<', '*>', '*<=', '*>='],
]);

function operation(
  facts: StatementFacts,
  fields: FieldsOf<'A_Expr'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'A_Expr', fields);
  const { kind, lexpr, rexpr } = fields;
  const items = kind === 'AEXPR_OP' ? undefined : as(rexpr, 'List')?.items;
  const left = lexpr && expression(facts, lexpr, scope);
  const listed = expressions(facts, items, scope);
  const right = items ? derive(listed) : rexpr && expression(facts, rexpr, scope);
  const operands = [left, right].flatMap((side) => side ?? []);
  const applied = checkOperation(facts, fields, { left, right, listed });
  if (asksForWords(facts, fields, scope) || comparesSettings(fields, scope)) {
    return constant(TYPE.bool);
  }
  return resultOfOperation(facts, fields, operands, applied);
}

function resultOfOperation(
  facts: StatementFacts,
  { kind, name, lexpr, rexpr }: FieldsOf<'A_Expr'>,
  operands: readonly Lineage[],
  applied: Applied,
): Lineage {
  const operator = namesOf(name)?.at(-1) ?? '';
  const by = OPERATION_WORDS[kind ?? ''] ?? `operator ${operator}`;
  const [left, right] = operands;
  const json = kind === 'AEXPR_OP' ? jsonOperation(facts, operator, operands, rexpr) : undefined;
  if (json) {
    return json;
  }
  if (kind === 'AEXPR_OP' && operator === '=' && left && right) {
    if (facts.noteEquated([left, right], by)) {
      facts.tie(unite(operands));
      return constant(TYPE.bool);
    }
  }
  const isTesting = COMPARISONS.has(operator) || (operands.length > 1 && TESTING.has(operator));
  if (kind === 'AEXPR_OP' ? isTesting : kind !== 'AEXPR_NULLIF') {
    return facts.test(operands, by, TYPE.bool);
  }
  const sides = [lexpr, rexpr].flatMap((side) => side ?? []);
  const strings =
    operator === '||' ? storedStrings(facts.context.catalog, sides, operands) : undefined;
  if (strings) {
    for (const operand of operands) {
      if (!strings.includes(operand)) facts.noteComputed(operand, by);
    }
    return { ...derive(operands, TYPE.text), total: true };
  }
  // NULLIF compares, too.
  if (kind === 'AEXPR_NULLIF') facts.tie(unite(operands));
  else facts.combine(operands);
  const value = derive(operands, kind === 'AEXPR_NULLIF' ? applied.leftType : applied.type);
  facts.noteComputed(value, by);
  return value;
}

const OPERATION_WORDS: Readonly<Record<string, string>> = {
  AEXPR_BETWEEN: 'BETWEEN',
  AEXPR_BETWEEN_SYM: 'BETWEEN',
  AEXPR_DISTINCT: 'IS DISTINCT FROM',
  AEXPR_ILIKE: 'ILIKE',
  AEXPR_IN: 'IN',
  AEXPR_LIKE: 'LIKE',
  AEXPR_NOT_BETWEEN: 'NOT BETWEEN',
  AEXPR_NOT_BETWEEN_SYM: 'NOT BETWEEN',
  AEXPR_NOT_DISTINCT: 'IS NOT DISTINCT FROM',
  AEXPR_NULLIF: 'NULLIF',
  AEXPR_SIMILAR: 'SIMILAR TO',
};

function cast(
  facts: StatementFacts,
  fields: FieldsOf<'TypeCast'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'TypeCast', fields);
  const value = expression(facts, fields.arg, scope);
  const type = findType(facts, fields.typeName);
  noteCast(facts, value, type?.oid);
  const row = rowTypeRelation(facts, type?.oid);
  const columns = row ? visibleColumns(row) : undefined;
  const { catalog } = facts.context;
  if (isString(type?.oid) && (isStringOfColumn(catalog, value) || isScalar(catalog, value))) {
    return { ...derive([value], type?.oid), total: true };
  }
  const held = castDocument(value, fields.typeName, type?.oid);
  if (held) {
    return { ...derive([value], type?.oid), document: held };
  }
  facts.noteComputed(value, `a cast${type === undefined ? '' : ` to ${type.name}`}`);
  // ROW(a, b)::t keeps a and b apart; a text turned into a row does not. Each field is cast to the
  // type of its column, which can cut it: varchar(3) leaves the first characters.
  const apart = value.fields?.length === columns?.length ? value.fields : undefined;
  const shape = columns?.map((column, index) => ({
    name: column.name,
    lineage: {
      ...retyped(apart?.[index]?.lineage ?? derive([value]), column.typeOid),
      identity: undefined,
    },
  }));
  const isRow = type?.relationOid !== 0 && !fields.typeName?.arrayBounds;
  const document = shape && apart && isRow ? rowShape(shape) : undefined;
  return { ...derive([value], type?.oid, shape), document };
}
