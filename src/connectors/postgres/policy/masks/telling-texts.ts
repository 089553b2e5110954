/** Whether an expression of the catalog holds a value of one of some columns: one that it compares them with. */

import { outputNames, withCarriedNames } from './carried-names.ts';

/** Operators that compute; all others compare. */
const COMPUTING: ReadonlySet<string> = new Set(
  '+ - * / % ^ || & | # -> ->> #> #>> #- @ << >>'.split(' '),
);
/** What these say of a value is not the value. */
const MEASURES: ReadonlySet<string> = new Set(
  `length char_length character_length octet_length bit_length cardinality array_length array_ndims
  jsonb_typeof json_typeof strpos position num_nulls num_nonnulls pg_column_size`.split(/\s+/),
);
/** A default made with one of these is made anew for each row. */
const CHANGING: ReadonlySet<string> = new Set(
  `now nextval gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4
  gen_random_bytes random clock_timestamp statement_timestamp transaction_timestamp timeofday
  current_setting gen_salt txid_current pg_current_xact_id`.split(/\s+/),
);
/** Fields under which a condition stands. */
const CONDITIONS: ReadonlySet<string> = new Set([
  'whereClause',
  'quals',
  'havingClause',
  'agg_filter',
  'whenClause',
]);
const EQUALITY = new Set(['AEXPR_OP_ANY', 'AEXPR_IN', 'AEXPR_DISTINCT', 'AEXPR_NOT_DISTINCT']);

export interface TellingOptions {
  /** Names of the columns that are asked about. */
  readonly columns: ReadonlySet<string>;
  /**
   * all: also ranges and patterns. equality: of a CHECK, which holds for each row, ranges and patterns
   * say what there can be, as a type does.
   */
  readonly comparisons: 'all' | 'equality';
  /** The whole is a condition: of an index, a policy. */
  readonly isCondition: boolean;
  /** Names that stand for constants: parameters with a default. */
  readonly constants?: ReadonlySet<string>;
}

/** @param tree of `SELECT <expression>`, or of a whole statement; undefined: it did not parse */
export function isTelling(tree: unknown, options: TellingOptions): boolean {
  if (tree === undefined) return true;
  const columns = withCarriedNames(tree, options.columns, holdsColumn);
  return walk(tree, options.isCondition, { ...options, columns });
}

/** Names that a view, or another query, gives to these columns. */
export function namesGiven(query: unknown, columns: ReadonlySet<string>): ReadonlySet<string> {
  return outputNames(query, withCarriedNames(query, columns, holdsColumn), holdsColumn);
}

/** Parameters of CREATE FUNCTION with a default that is a value. */
export function parametersWithValues(tree: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  has(tree, (node) => {
    if ('FunctionParameter' in node && isObject(node.FunctionParameter)) {
      const { name, defexpr }: { name?: unknown; defexpr?: unknown } = node.FunctionParameter;
      if (typeof name === 'string' && hasTellingConstant(defexpr)) found.add(name);
    }
    return false;
  });
  return found;
}

/** A default: the value that rows have which were given none. */
export function isTellingDefault(tree: unknown): boolean {
  if (tree === undefined) return true;
  const changes = has(tree, (node) => 'SQLValueFunction' in node || isCallOf(node, CHANGING));
  return !changes && hasTellingConstant(tree);
}

function walk(value: unknown, isCondition: boolean, options: TellingOptions): boolean {
  if (Array.isArray(value)) return value.some((one) => walk(one, isCondition, options));
  if (!isObject(value)) return false;
  if (isComparison(value, options) && holdsBoth(value, options)) return true;
  // A function in place of an operator: starts_with(token, 'x').
  const isTest = isCondition && options.comparisons === 'all' && 'FuncCall' in value;
  if (isTest && holdsBoth(value, options)) return true;
  return Object.entries(value).some(([key, inner]) =>
    walk(inner, isConditionIn(key, value, isCondition), options),
  );
}

function isConditionIn(key: string, parent: object, isCondition: boolean): boolean {
  if (CONDITIONS.has(key) || (key === 'expr' && 'defresult' in parent)) return true;
  return isCondition || key === 'CaseWhen';
}

function isComparison(node: object, { comparisons }: TellingOptions): boolean {
  if ('CaseExpr' in node && isObject(node.CaseExpr)) return 'arg' in node.CaseExpr;
  if (!('A_Expr' in node) || !isObject(node.A_Expr)) return false;
  const expression: { kind?: unknown; name?: unknown } = node.A_Expr;
  const kind = String(expression.kind);
  const operator = lastString(expression.name);
  if (comparisons === 'equality') {
    return EQUALITY.has(kind) || (kind === 'AEXPR_OP' && (operator === '=' || operator === '<>'));
  }
  return kind !== 'AEXPR_OP' || !COMPUTING.has(operator ?? '');
}

function holdsBoth(node: object, { columns, constants }: TellingOptions): boolean {
  if (!holdsColumn(node, columns)) return false;
  return hasTellingConstant(node) || (constants !== undefined && holdsName(node, constants));
}

function holdsColumn(tree: unknown, columns: ReadonlySet<string>): boolean {
  return has(
    tree,
    (node) => isName(node, (name) => name === undefined || columns.has(name)),
    MEASURES,
  );
}

function holdsName(tree: unknown, names: ReadonlySet<string>): boolean {
  return has(tree, (node) => isName(node, (name) => name !== undefined && names.has(name)));
}

/** @param test gets the last part of the name; undefined: it is a star */
function isName(node: object, test: (name: string | undefined) => boolean): boolean {
  if (!('ColumnRef' in node) || !isObject(node.ColumnRef)) return false;
  const { fields }: { fields?: unknown } = node.ColumnRef;
  return test(lastString(fields));
}

/** NULL, booleans, 0 and what is empty tell no more than the type of the column. */
function hasTellingConstant(tree: unknown): boolean {
  return has(tree, (node) => {
    if (!('A_Const' in node) || !isObject(node.A_Const)) return false;
    const { sval, ival, fval, bsval }: Record<string, unknown> = { ...node.A_Const };
    if (isObject(sval)) return !isEmpty('sval' in sval ? sval.sval : '');
    if (isObject(ival)) return 'ival' in ival && ival.ival !== 0;
    return fval !== undefined || bsval !== undefined;
  });
}

function isEmpty(value: unknown): boolean {
  return ['', '{}', '[]', '{""}', 't', 'f', 'true', 'false'].includes(String(value ?? '').trim());
}

/** @param without calls of these, and names of types, are not looked into */
function has(
  value: unknown,
  test: (node: object) => boolean,
  without: ReadonlySet<string> = new Set(),
): boolean {
  if (Array.isArray(value)) return value.some((one) => has(one, test, without));
  if (!isObject(value)) return false;
  if (test(value)) return true;
  if (isCallOf(value, without)) return false;
  return Object.entries(value).some(
    ([key, inner]) => key !== 'typeName' && has(inner, test, without),
  );
}

function isCallOf(node: object, names: ReadonlySet<string>): boolean {
  if (!('FuncCall' in node) || !isObject(node.FuncCall)) return false;
  const { funcname }: { funcname?: unknown } = node.FuncCall;
  return names.has(lastString(funcname) ?? '');
}

/** The last of a list of names; undefined: it is no name (a star). */
function lastString(list: unknown): string | undefined {
  const last: unknown = Array.isArray(list) ? list.at(-1) : undefined;
  if (!isObject(last) || !('String' in last) || !isObject(last.String)) return undefined;
  const { sval }: { sval?: unknown } = last.String;
  return typeof sval === 'string' ? sval : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
