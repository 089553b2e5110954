/**
 * What an agent and the person it acts for both allow, for hints: a list of one side's rules alone
 * would name what the other side refuses.
 */
import { patternMatches, splitPattern } from './patterns.ts';
import type { StatementRule } from './types.ts';
import { verbMatches } from './verbs.ts';

/** @returns one rule for each pair of which something is left: its conditions, for people to read. */
export function bothAllow(
  some: readonly StatementRule[],
  others: readonly StatementRule[],
): readonly StatementRule[] {
  return some.flatMap((one) => others.flatMap((other) => narrowed(one, other) ?? []));
}

function narrowed(one: StatementRule, other: StatementRule): StatementRule | undefined {
  const isAboutCalls = one.functions.length > 0;
  const isSameKind = isAboutCalls === other.functions.length > 0;
  const verbs = common(one.verbs, other.verbs, verbMatches);
  const relations = common(one.relations, other.relations, covers);
  const functions = common(one.functions, other.functions, covers);
  const isOpposed =
    one.qualified !== undefined &&
    other.qualified !== undefined &&
    one.qualified !== other.qualified;
  if (!isSameKind || isOpposed || !verbs || !relations || !functions) {
    return undefined;
  }
  const rows = [one.rows, other.rows].flatMap((count) => count ?? []);
  const { mayShow: _shows, rows: _rows, ...rest } = one;
  return {
    ...rest,
    verbs,
    relations,
    functions,
    qualified: one.qualified ?? other.qualified,
    ...(rows.length === 0 ? {} : { rows: Math.min(...rows) }),
    ...(one.mayShow && other.mayShow ? { mayShow: one.mayShow } : {}),
  };
}

/** @returns undefined where they have nothing in common; an empty list stands for everything. */
function common(
  some: readonly string[],
  others: readonly string[],
  covers: (wide: string, narrow: string) => boolean,
): readonly string[] | undefined {
  if (some.length === 0 || some.includes('*')) return others.length === 0 ? some : others;
  if (others.length === 0 || others.includes('*')) return some;
  const both = [
    ...some.filter((narrow) => others.some((wide) => covers(wide, narrow))),
    ...others.filter((narrow) => some.some((wide) => covers(wide, narrow))),
  ];
  return both.length === 0 ? undefined : [...new Set(both)];
}

/** Whether a pattern covers all that another one does; a `*` is matched like any character. */
function covers(wide: string, narrow: string): boolean {
  const parts = splitPattern(narrow);
  return parts !== undefined && (wide === narrow || patternMatches(wide, parts.schema, parts.name));
}
