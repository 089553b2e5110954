/**
 * Which of several functions or operators of one name the server calls: chapter 10 of PostgreSQL's
 * documentation, and func_select_candidate() of src/backend/parser/parse_func.c.
 */
import type { Catalog } from '../facts/catalog-types.ts';
import { baseType, canCoerce, type Input, UNKNOWN } from './coercions.ts';

export interface Overload {
  /** Types of the parameters that take the arguments, one for each. */
  readonly takes: readonly number[];
}

const STRING = 'S';

/** Of several with the same parameters the first one in search_path hides the others. */
export function visible<T extends Overload>(candidates: readonly T[]): readonly T[] {
  const seen = new Set<string>();
  return candidates.filter(({ takes }) => {
    const key = takes.join(' ');
    return !seen.has(key) && seen.add(key);
  });
}

/**
 * @param candidates that are visible, and of which none takes exactly these types
 * @returns those that can be meant: one where all types are known, several where the call is
 * ambiguous or types are not known, none where nothing fits
 */
export function bestOverloads<T extends Overload>(
  catalog: Catalog,
  candidates: readonly T[],
  inputs: readonly Input[],
): readonly T[] {
  const answers = candidates.map(({ takes }) => canCoerce(catalog, inputs, takes));
  const fitting = candidates.filter((_, index) => answers[index] !== 'no');
  const types = inputs.flatMap((input) => input ?? []);
  const isKnown = types.length === inputs.length && !answers.includes('maybe');
  return isKnown && fitting.length > 1 ? selected(catalog, fitting, types) : fitting;
}

/** @returns several: the server calls it ambiguous */
function selected<T extends Overload>(
  catalog: Catalog,
  fitting: readonly T[],
  inputs: readonly number[],
): readonly T[] {
  const types = inputs.map((type) => (type === UNKNOWN ? UNKNOWN : baseType(catalog, type)));
  const isKnown = (index: number): boolean => types[index] !== UNKNOWN;
  const isExact = (type: number, index: number): boolean => isKnown(index) && type === types[index];
  const exact = most(fitting, ({ takes }) => takes.filter(isExact).length);
  if (exact.length === 1) return exact;
  const categories = types.map((type) => catalog.typeByOid(type)?.category);
  const isPreferred = (type: number, index: number): boolean => {
    const { category, isPreferred: preferred } = catalog.typeByOid(type) ?? {};
    return isKnown(index) && preferred === true && category === categories[index];
  };
  const preferred = most(
    exact,
    ({ takes }) => takes.filter((type, at) => isExact(type, at) || isPreferred(type, at)).length,
  );
  if (preferred.length === 1 || types.every((type) => type !== UNKNOWN)) return preferred;
  const byCategory = ofOneCategory(catalog, preferred, types);
  if (byCategory.length === 1) return byCategory;
  const known = new Set(types.filter((type) => type !== UNKNOWN));
  const [only] = known;
  if (only !== undefined && known.size === 1) {
    // Literals beside values of one type are taken for values of that type.
    const same = types.map(() => only);
    const left = byCategory.filter(({ takes }) => canCoerce(catalog, same, takes) === 'yes');
    if (left.length === 1) return left;
  }
  return byCategory;
}

/** Those whose parameters take these types, whatever the order in which they are looked up. */
export function fittingOverloads<T extends Overload>(
  catalog: Catalog,
  candidates: readonly T[],
  inputs: readonly Input[],
): readonly T[] {
  return candidates.filter(({ takes }) => canCoerce(catalog, inputs, takes) !== 'no');
}

function most<T>(all: readonly T[], count: (one: T) => number): readonly T[] {
  const counts = all.map(count);
  const best = Math.max(...counts);
  return all.filter((_, index) => counts[index] === best);
}

/** Literals: what all candidates take there, or a string, and of it the preferred type. */
function ofOneCategory<T extends Overload>(
  catalog: Catalog,
  candidates: readonly T[],
  types: readonly number[],
): readonly T[] {
  const wanted = new Map<number, { category: string; preferred: boolean }>();
  for (const [index, type] of types.entries()) {
    if (type !== UNKNOWN) continue;
    const taken = candidates.map(({ takes }) => catalog.typeByOid(takes[index] ?? 0));
    const found = new Set(taken.map((one) => one?.category ?? ''));
    const [first = ''] = found;
    const category = found.size === 1 ? first : found.has(STRING) ? STRING : undefined;
    if (category === undefined) return candidates;
    const preferred = taken.some((one) => one?.category === category && one.isPreferred === true);
    wanted.set(index, { category, preferred });
  }
  const left = candidates.filter(({ takes }) =>
    [...wanted].every(([index, { category, preferred }]) => {
      const type = catalog.typeByOid(takes[index] ?? 0);
      return type?.category === category && (!preferred || type.isPreferred === true);
    }),
  );
  return left.length > 0 ? left : candidates;
}
