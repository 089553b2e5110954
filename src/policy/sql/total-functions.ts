/**
 * Functions that may be computed over a masked string: for every value they succeed, take no
 * account of anything else, change nothing, and are NULL exactly when the value is. Their result,
 * masked whole, therefore shows what the mask of the column shows already. One string and constants
 * only, as they are written: of two strings one can be made to say something of the other, and
 * `lower(token || repeat('x', 1073741800))` fails for tokens of one length and not of another.
 *
 * Not here: replace() and lpad(), which can make more than fits; whatever takes a pattern, which can
 * take very long; nullif() and everything else whose NULL says something.
 */
import type { Lineage } from './lineage.ts';
import { isString } from './string-types.ts';
import { as, type Node } from './tree.ts';

const TOTAL: ReadonlySet<string> = new Set([
  'btrim',
  'concat',
  'concat_ws',
  'initcap',
  'left',
  'lower',
  'ltrim',
  'md5',
  'reverse',
  'right',
  'rtrim',
  'split_part',
  'substr',
  'translate',
  'upper',
]);

/** @returns which argument is the string; undefined: the call is none of these. */
export function totalArgument(
  name: string,
  nodes: readonly Node[] | undefined,
  args: readonly Lineage[],
): Lineage | undefined {
  const isSubstring = name === 'substring' && (nodes ?? []).slice(1).every(isInteger);
  return TOTAL.has(name) || isSubstring ? onlyString(nodes, args) : undefined;
}

/** The one value that is a string of a column, when all others are constants as written. */
export function onlyString(
  nodes: readonly Node[] | undefined,
  args: readonly Lineage[],
): Lineage | undefined {
  const [value, second] = args.filter((_, index) => !isConstant(nodes?.[index]));
  return value !== undefined && second === undefined && isStringOfColumn(value) ? value : undefined;
}

export function isStringOfColumn(value: Lineage): boolean {
  return isString(value.type) && (value.identity !== undefined || value.total === true);
}

export function isConstant(node: Node | undefined): boolean {
  const cast = as(node, 'TypeCast');
  return cast
    ? isConstant(cast.arg)
    : as(node, 'A_Const') !== undefined || as(node, 'ParamRef') !== undefined;
}

/** substring(text, text) takes a pattern; a parameter may turn out to be one. */
function isInteger(node: Node): boolean {
  return as(node, 'A_Const')?.ival !== undefined;
}
