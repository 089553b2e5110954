/**
 * Expressions of owners that succeed for every value of their columns: a closed list. Whether a row
 * with another one can be written tells of all the values that it is made of.
 */
import { as, type FieldsOf, is, type Node, namesOf } from '../parse/tree.ts';

/** Between built-in types; of others the server writes the schema before the operator. */
const OPERATORS: ReadonlySet<string> = new Set(['||', '=', '<>', '<', '<=', '>', '>=']);
const KINDS: ReadonlySet<string | undefined> = new Set([
  'AEXPR_OP',
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
]);
const FUNCTIONS: ReadonlySet<string> = new Set(
  'btrim length lower ltrim md5 rtrim setweight to_tsvector upper'.split(' '),
);
const STRINGS: ReadonlySet<string> = new Set(['text', 'varchar']);

/** @param tree parse result of `SELECT <expression>`; undefined: it did not parse */
export function isTotalExpression(tree: unknown): boolean {
  const select = selectOf(tree);
  const [target, ...others] = as(select, 'SelectStmt')?.targetList ?? [];
  const value = as(target, 'ResTarget')?.val;
  return others.length === 0 && value !== undefined && isTotal(value);
}

function isTotal(node: Node): boolean {
  const all = (nodes: readonly (Node | undefined)[] = []): boolean =>
    nodes.every((one) => one === undefined || isTotal(one));
  if (is(node, 'ColumnRef') || is(node, 'A_Const')) return true;
  if (is(node, 'TypeCast')) return isTotalCast(node.TypeCast);
  if (is(node, 'A_Expr')) {
    const { kind, name, lexpr, rexpr } = node.A_Expr;
    return KINDS.has(kind) && OPERATORS.has(builtInName(name)) && all([lexpr, rexpr]);
  }
  if (is(node, 'FuncCall')) {
    const { funcname, args } = node.FuncCall;
    return FUNCTIONS.has(builtInName(funcname)) && all(args);
  }
  if (is(node, 'RowExpr')) return all(node.RowExpr.args);
  if (is(node, 'BoolExpr')) return all(node.BoolExpr.args);
  if (is(node, 'CoalesceExpr')) return all(node.CoalesceExpr.args);
  if (is(node, 'NullTest')) return all([node.NullTest.arg]);
  if (is(node, 'BooleanTest')) return all([node.BooleanTest.arg]);
  if (is(node, 'CaseExpr')) {
    const { arg, args, defresult } = node.CaseExpr;
    return all([arg, ...(args ?? []), defresult]);
  }
  return is(node, 'CaseWhen') && all([node.CaseWhen.expr, node.CaseWhen.result]);
}

/** What a constant becomes is the same for every row. */
function isTotalCast({ arg, typeName }: FieldsOf<'TypeCast'>): boolean {
  if (arg === undefined || is(arg, 'A_Const')) return true;
  const { names, typmods, arrayBounds } = typeName ?? {};
  const isWhole = (typmods ?? []).length + (arrayBounds ?? []).length === 0;
  return isWhole && STRINGS.has(builtInName(names)) && isTotal(arg);
}

/** @returns an empty text for what is not built in */
function builtInName(nodes: readonly Node[] | undefined): string {
  const [first = '', second] = namesOf(nodes) ?? [];
  if (second === undefined) return first;
  return first === 'pg_catalog' ? second : '';
}

function selectOf(tree: unknown): Node | undefined {
  if (typeof tree !== 'object' || tree === null || !('stmts' in tree)) return undefined;
  const stmts: unknown = tree.stmts;
  const [first]: { readonly stmt?: Node }[] = Array.isArray(stmts) ? stmts : [];
  return first?.stmt;
}
