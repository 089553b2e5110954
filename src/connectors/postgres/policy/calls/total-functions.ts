/**
 * Functions that may be computed over masked strings: for every value they succeed, change nothing,
 * and are NULL exactly when the values are. Their result, masked whole, therefore shows what the
 * masks of the columns show already. They take values as they are stored, each once, and constants as
 * they are written: `lower(token || repeat('x', 1073741800))` fails for tokens of one length and not
 * of another, and so does the thirtieth `a || a` of a `a || a`.
 *
 * Not here: replace() and lpad(), which can make more than fits; whatever takes a pattern, which can
 * take very long; nullif() and everything else whose NULL says something. Nor split_part(),
 * translate() and trim() of given characters: how long a value is can be measured by the memory that it
 * takes, and of these the length tells what is in it.
 */

import type { Catalog } from '../facts/catalog-types.ts';
import type { Lineage, Origin } from '../facts/lineage.ts';
import { isString, isWritable } from '../facts/string-types.ts';
import { as, is, type Node } from '../parse/tree.ts';
import { concreteTypeOf } from './function-types.ts';

/** Of one string. */
const TOTAL: ReadonlySet<string> = new Set([
  'initcap',
  'left',
  'lower',
  'md5',
  'reverse',
  'right',
  'substr',
  'upper',
]);
/** Of one string and nothing else: they take away blanks. */
const TRIMMING: ReadonlySet<string> = new Set(['btrim', 'ltrim', 'rtrim']);
/** Of several. */
const JOINING: ReadonlySet<string> = new Set(['concat', 'concat_ws']);

/** @returns the strings among the arguments; undefined: the call is none of these. */
export function totalArguments(
  catalog: Catalog,
  name: string,
  nodes: readonly Node[] | undefined,
  args: readonly Lineage[],
): readonly Lineage[] | undefined {
  const isSubstring = name === 'substring' && (nodes ?? []).slice(1).every(isInteger);
  const isTrim = TRIMMING.has(name) && args.length === 1;
  const isTotal = TOTAL.has(name) || isTrim || isSubstring || JOINING.has(name);
  const strings = isTotal ? storedStrings(catalog, nodes, args) : undefined;
  return JOINING.has(name) || strings?.length === 1 ? strings : undefined;
}

/**
 * The strings among values of which each is one that is stored, or a constant.
 * @returns undefined when there is none, when something else is among them, or one of them twice
 */
export function storedStrings(
  catalog: Catalog,
  nodes: readonly Node[] | undefined,
  args: readonly Lineage[],
): readonly Lineage[] | undefined {
  const values = args.filter((_, index) => !isConstant(nodes?.[index]));
  const strings = values.filter((value) => isStringOfColumn(catalog, value));
  const isStored = values.every((value) => value.identity !== undefined || value.total === true);
  return isStored && strings.length > 0 && areApart(values) ? strings : undefined;
}

/** A domain is passed on as the string that it is: what reads it checks nothing. */
export function isStringOfColumn(catalog: Catalog, value: Lineage): boolean {
  return (
    isString(concreteTypeOf(catalog, value.type)) &&
    (value.identity !== undefined || value.total === true)
  );
}

function areApart(values: readonly Lineage[]): boolean {
  const seen = new Set<Origin>();
  for (const origin of values.flatMap((value) => [...value.origins])) {
    if (seen.has(origin)) return false;
    seen.add(origin);
  }
  return true;
}

export function isConstant(node: Node | undefined): boolean {
  const cast = as(node, 'TypeCast');
  if (cast) {
    // 'x'::char(10485760) is longer than it looks; so is 1e131071.
    return (cast.typeName?.typmods ?? []).length === 0 && isConstant(cast.arg);
  }
  const number = as(node, 'A_Const')?.fval?.fval ?? '';
  return !/e/i.test(number) && (is(node, 'A_Const') || is(node, 'ParamRef'));
}

/** substring(text, text) takes a pattern; a parameter may turn out to be one. */
function isInteger(node: Node): boolean {
  return as(node, 'A_Const')?.ival !== undefined;
}

/**
 * A stored number, date, enum, array or the like, of which a cast to a string succeeds wherever the
 * column itself can be selected. Its mask shows NULL for each (of an enum that there is a value), and
 * so does that of the string (`MaskIndex.hidesNull`).
 */
export function isScalar(catalog: Catalog, { type, identity }: Lineage): boolean {
  return identity !== undefined && isWritable(catalog, concreteTypeOf(catalog, type));
}
