/** Values that tests of `qualified.ts` compare with: whether they are fixed, and where a range ends. */
import { isSelfContained, type Level } from './narrow-items.ts';
import { as, is, literalText, type Node, namesOf } from './tree.ts';

/** Largest int4: an upper bound there, or a lower bound at or below zero, keeps every usual key. */
const TOP = 2_147_483_647;
const RANDOM: ReadonlySet<string> = new Set(['random', 'random_normal', 'gen_random_uuid']);

/** A value that is the same for every row: no column in it, and no chance. */
export function isFixed(node: Node | undefined, level: Level): boolean {
  if (!node) {
    return false;
  }
  if (is(node, 'A_Const') || is(node, 'ParamRef') || is(node, 'SQLValueFunction')) return true;
  if (is(node, 'TypeCast')) return isFixed(node.TypeCast.arg, level);
  if (is(node, 'A_ArrayExpr'))
    return (node.A_ArrayExpr.elements ?? []).every((one) => isFixed(one, level));
  if (is(node, 'A_Expr')) {
    return [node.A_Expr.lexpr, node.A_Expr.rexpr].every(
      (side) => side === undefined || isFixed(side, level),
    );
  }
  if (is(node, 'FuncCall')) {
    const name = namesOf(node.FuncCall.funcname)?.at(-1) ?? '';
    return !RANDOM.has(name) && (node.FuncCall.args ?? []).every((one) => isFixed(one, level));
  }
  // One value, unless it looks at the row: then it may be another one for each.
  if (is(node, 'SubLink')) {
    const query = as(node.SubLink.subselect, 'SelectStmt');
    return (
      node.SubLink.subLinkType === 'EXPR_SUBLINK' &&
      query !== undefined &&
      isSelfContained(query, level)
    );
  }
  return false;
}

/** Nothing is read for it: what a query gathers (array_agg, min, max) can speak of all rows. */
export function isPlain(node: Node | undefined, level: Level): boolean {
  return isFixed(node, level) && !/"SubLink"/.test(JSON.stringify(node));
}

/** Text that the server would compare with: a parameter may hold any. */
export function hasText(node: Node | undefined, pattern: RegExp): boolean {
  if (is(node, 'ParamRef')) {
    return true;
  }
  const text = literalText(node);
  return text !== undefined && pattern.test(text);
}

/** Where a range ends when nothing is cut off: no text, no time, the first row of the first page. */
const OPEN_LOW = /^\s*(?:-infinity|0+ [a-z]+|\(0,\s*[01]\))?\s*$/i;
const OPEN_HIGH = /^\s*infinity\s*$/i;

/**
 * Whether a bound cuts anything off; what is not a plain number or text is taken to.
 * @param isStrict `>` and `<`: keys start at 1, which `>= 1` says in other words than `> 0`.
 */
export function isBound(node: Node | undefined, side: 'low' | 'high', isStrict: boolean): boolean {
  const value = numberOf(node);
  if (value !== undefined) {
    return side === 'low' ? value > 0 && (isStrict || value !== 1) : value < TOP;
  }
  const text = literalText(node);
  return text === undefined || !(side === 'low' ? OPEN_LOW : OPEN_HIGH).test(text);
}

/** The value of a numeric constant, simple arithmetic included. */
export function numberOf(node: Node | undefined): number | undefined {
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

/** The same expression twice gives the same text, wherever it stands. */
export function textOf(node: Node | undefined): string {
  return JSON.stringify(node ?? null, (key, value: unknown) =>
    key === 'location' || key === 'list_start' || key === 'list_end' ? undefined : value,
  );
}
