/**
 * Whether a WHERE really narrows what an UPDATE or DELETE touches.
 *
 * It must hold a test of a column against fixed values that could leave rows out: equality, IN,
 * BETWEEN, a bound, LIKE with text in it, IS NULL, a boolean column, WHERE CURRENT OF. These do not
 * count, because they keep (nearly) every row or nobody can tell: constants and parameters alone,
 * a column against itself or a sibling, negations (`<>`, NOT IN, IS NOT NULL), bounds at the end
 * of the range (`id > 0`), joins to whole tables, subqueries that are not narrowed themselves.
 * Where we stop: a bound that happens to keep all rows (`created_at > '1900-01-01'`) counts.
 */
import { as, type FieldsOf, is, literalText, type Node, namesOf } from './tree.ts';

type Select = FieldsOf<'SelectStmt'>;

/** Names of WITH queries, with whether they bring only a few rows, and FROM items that do. */
export interface Surroundings {
  readonly queries: ReadonlyMap<string, boolean>;
  readonly narrow: ReadonlySet<string>;
}

/** Largest int4: an upper bound there, or a lower bound at or below zero, keeps every usual key. */
const TOP = 2_147_483_647;
const RANDOM: ReadonlySet<string> = new Set(['random', 'random_normal', 'gen_random_uuid']);
/** Functions under which equality still singles rows out. */
const KEEPING: ReadonlySet<string> = new Set([
  'lower',
  'upper',
  'btrim',
  'date',
  'date_trunc',
  'md5',
]);

export function surroundings(
  withClause: FieldsOf<'WithClause'> | undefined,
  from: readonly Node[] | undefined,
): Surroundings {
  const base = { queries: namedQueries(withClause, new Map()), narrow: new Set<string>() };
  for (const node of from ?? []) {
    const name = narrowItemName(node, base);
    if (name !== undefined) {
      base.narrow.add(name);
    }
  }
  return base;
}

/**
 * Each query is looked at once, where it is defined: names in it mean what they mean there, it may
 * name itself, and a chain of queries that use each other twice takes no exponential time.
 */
function namedQueries(
  withClause: FieldsOf<'WithClause'> | undefined,
  outer: ReadonlyMap<string, boolean>,
): ReadonlyMap<string, boolean> {
  const queries = new Map(outer);
  const named = (withClause?.ctes ?? []).flatMap((node) => as(node, 'CommonTableExpr') ?? []);
  if (withClause?.recursive) {
    // Before its query and within it, nobody can tell what a name brings.
    for (const { ctename } of named) queries.set(ctename ?? '', false);
  }
  for (const { ctename, ctequery } of named) {
    const around = { queries, narrow: new Set<string>() };
    queries.set(ctename ?? '', isNarrow(as(ctequery, 'SelectStmt'), around));
  }
  return queries;
}

/** The alias of a FROM item that brings only rows which the statement itself lists or narrows. */
function narrowItemName(node: Node, around: Surroundings): string | undefined {
  const query = as(node, 'RangeSubselect');
  if (query) {
    return isNarrow(as(query.subquery, 'SelectStmt'), around) ? query.alias?.aliasname : undefined;
  }
  const table = as(node, 'RangeVar');
  if (table) {
    const narrow = table.schemaname === undefined && around.queries.get(table.relname ?? '');
    return narrow ? (table.alias?.aliasname ?? table.relname) : undefined;
  }
  const calls = as(node, 'RangeFunction');
  return calls && (calls.functions ?? []).every(isListing) ? calls.alias?.aliasname : undefined;
}

/** unnest($1) and the like: the rows are in the statement or its parameters. */
function isListing(entry: Node): boolean {
  const call = as(as(entry, 'List')?.items?.[0], 'FuncCall');
  const name = namesOf(call?.funcname)?.at(-1) ?? '';
  return (
    ['unnest', 'string_to_table', 'jsonb_to_recordset', 'json_to_recordset'].includes(name) &&
    (call?.args ?? []).every(isFixed)
  );
}

function isNarrow(query: Select | undefined, around: Surroundings): boolean {
  if (!query) {
    return false;
  }
  const inner: Surroundings = {
    queries: namedQueries(query.withClause, around.queries),
    narrow: new Set(),
  };
  if (query.larg && query.rarg) {
    return isNarrow(query.larg, inner) && isNarrow(query.rarg, inner);
  }
  if (query.limitCount && isFixed(query.limitCount)) {
    return true;
  }
  const from = query.fromClause ?? [];
  return (
    from.every((item) => narrowItemName(item, inner) !== undefined) ||
    isEffective(query.whereClause, inner)
  );
}

export function isEffective(node: Node | undefined, around: Surroundings): boolean {
  if (!node) {
    return false;
  }
  if (is(node, 'BoolExpr')) {
    const parts = node.BoolExpr.args ?? [];
    if (node.BoolExpr.boolop === 'AND_EXPR') return parts.some((part) => isEffective(part, around));
    if (node.BoolExpr.boolop === 'OR_EXPR') return parts.every((part) => isEffective(part, around));
    return is(parts[0], 'ColumnRef');
  }
  if (is(node, 'ColumnRef') || is(node, 'CurrentOfExpr')) {
    return true;
  }
  if (is(node, 'NullTest')) {
    return node.NullTest.nulltesttype === 'IS_NULL' && is(node.NullTest.arg, 'ColumnRef');
  }
  if (is(node, 'BooleanTest')) {
    const kind = node.BooleanTest.booltesttype;
    return (kind === 'IS_TRUE' || kind === 'IS_FALSE') && is(node.BooleanTest.arg, 'ColumnRef');
  }
  if (is(node, 'SubLink')) {
    return isEffectiveSubLink(node.SubLink, around);
  }
  return is(node, 'A_Expr') && isEffectiveTest(node.A_Expr, around);
}

function isEffectiveSubLink(link: FieldsOf<'SubLink'>, around: Surroundings): boolean {
  const query = as(link.subselect, 'SelectStmt');
  if (link.subLinkType === 'EXISTS_SUBLINK') {
    return isEffective(query?.whereClause, { ...around, narrow: new Set() });
  }
  const operator = namesOf(link.operName)?.at(-1) ?? '=';
  return (
    link.subLinkType === 'ANY_SUBLINK' &&
    operator === '=' &&
    isColumnLike(link.testexpr) &&
    isNarrow(query, around)
  );
}

function isEffectiveTest(test: FieldsOf<'A_Expr'>, around: Surroundings): boolean {
  const operator = namesOf(test.name)?.at(-1) ?? '';
  const { lexpr: left, rexpr: right } = test;
  switch (test.kind) {
    case 'AEXPR_OP':
      return isEffectiveOperator(operator, left, right, around);
    case 'AEXPR_OP_ANY':
    case 'AEXPR_NOT_DISTINCT':
      return (
        (test.kind !== 'AEXPR_OP_ANY' || operator === '=') && isColumnLike(left) && isFixed(right)
      );
    case 'AEXPR_IN':
      return operator === '=' && isColumnLike(left) && items(right).every(isFixed);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return !operator.startsWith('!') && isColumnLike(left) && hasText(right, /[^%_\\]/);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_BETWEEN_SYM': {
      const [low, high] = items(right);
      return (
        isColumnLike(left) &&
        isFixed(low) &&
        isFixed(high) &&
        (isBound(low, 'low') || isBound(high, 'high'))
      );
    }
    default:
      return false;
  }
}

function isEffectiveOperator(
  operator: string,
  left: Node | undefined,
  right: Node | undefined,
  around: Surroundings,
): boolean {
  const column = isColumnLike(left) ? left : right;
  const other = column === left ? right : left;
  if (!isColumnLike(column)) {
    return false;
  }
  if (operator === '=') {
    return isFixed(other) || isNarrowColumn(column, around) || isNarrowColumn(other, around);
  }
  if (!isFixed(other)) {
    return false;
  }
  const upward =
    (operator.startsWith('>') && column === left) || (operator.startsWith('<') && column !== left);
  if (['<', '<=', '>', '>='].includes(operator)) {
    return isBound(other, upward ? 'low' : 'high');
  }
  if (['~', '~*'].includes(operator)) {
    return hasText(other, /^\^?[\p{L}\p{N} _-]{2,}\$?$/u);
  }
  return (
    ['@@', '&&', '?'].includes(operator) || (operator === '@>' && hasText(other, /[^{}[\]\s]/))
  );
}

/** `v.id` where v brings only listed or narrowed rows. */
function isNarrowColumn(node: Node | undefined, around: Surroundings): boolean {
  const names = namesOf(as(node, 'ColumnRef')?.fields);
  return names?.length === 2 && around.narrow.has(names[0] ?? '');
}

/** A column, or something that still tells rows apart as the column does. */
function isColumnLike(node: Node | undefined): boolean {
  if (is(node, 'ColumnRef')) return true;
  if (is(node, 'TypeCast')) return isColumnLike(node.TypeCast.arg);
  if (is(node, 'CollateClause')) return isColumnLike(node.CollateClause.arg);
  if (is(node, 'A_Expr')) {
    const operator = namesOf(node.A_Expr.name)?.at(-1) ?? '';
    return ['->', '->>', '#>', '#>>'].includes(operator) && isColumnLike(node.A_Expr.lexpr);
  }
  if (is(node, 'FuncCall')) {
    const name = namesOf(node.FuncCall.funcname)?.at(-1) ?? '';
    return KEEPING.has(name) && (node.FuncCall.args ?? []).some(isColumnLike);
  }
  return false;
}

/** A value that is the same for every row: no column in it, and no chance. */
function isFixed(node: Node | undefined): boolean {
  if (!node) {
    return false;
  }
  if (is(node, 'A_Const') || is(node, 'ParamRef') || is(node, 'SQLValueFunction')) return true;
  if (is(node, 'TypeCast')) return isFixed(node.TypeCast.arg);
  if (is(node, 'A_ArrayExpr')) return (node.A_ArrayExpr.elements ?? []).every(isFixed);
  if (is(node, 'A_Expr')) {
    return [node.A_Expr.lexpr, node.A_Expr.rexpr].every(
      (side) => side === undefined || isFixed(side),
    );
  }
  if (is(node, 'FuncCall')) {
    const name = namesOf(node.FuncCall.funcname)?.at(-1) ?? '';
    return !RANDOM.has(name) && (node.FuncCall.args ?? []).every(isFixed);
  }
  // One value, unless it looks at the row: then its own WHERE names columns, and it may be anything.
  if (is(node, 'SubLink')) {
    const query = as(node.SubLink.subselect, 'SelectStmt');
    return node.SubLink.subLinkType === 'EXPR_SUBLINK' && query?.whereClause === undefined;
  }
  return false;
}

function items(node: Node | undefined): readonly Node[] {
  return as(node, 'List')?.items ?? [];
}

/** Text that the server would compare with: a parameter may hold any. */
function hasText(node: Node | undefined, pattern: RegExp): boolean {
  if (is(node, 'ParamRef')) {
    return true;
  }
  const text = literalText(node);
  return text !== undefined && pattern.test(text);
}

/** Whether a bound cuts anything off; what is not a plain number or text is taken to. */
function isBound(node: Node | undefined, side: 'low' | 'high'): boolean {
  const value = numberOf(node);
  if (value !== undefined) {
    return side === 'low' ? value > 0 : value < TOP;
  }
  const text = literalText(node);
  if (text === undefined) {
    return true;
  }
  const open = side === 'low' ? ['', '-infinity'] : ['infinity'];
  return !open.includes(text.trim().toLowerCase());
}

/** The value of a numeric constant, simple arithmetic included. */
function numberOf(node: Node | undefined): number | undefined {
  if (is(node, 'A_Expr') && node.A_Expr.kind === 'AEXPR_OP') {
    const operator = namesOf(node.A_Expr.name)?.at(-1);
    const left = node.A_Expr.lexpr ? numberOf(node.A_Expr.lexpr) : 0;
    const right = numberOf(node.A_Expr.rexpr);
    if (left === undefined || right === undefined) return undefined;
    if (operator === '-') return left - right;
    if (operator === '+') return left + right;
    return operator === '*' ? left * right : undefined;
  }
  const text = literalText(node);
  if (text === undefined || text.trim() === '') {
    return undefined;
  }
  const value = Number(text);
  return Number.isNaN(value) ? undefined : value;
}
