/**
 * Types that the server converts unasked: chapter 10 of PostgreSQL's documentation, and
 * src/backend/parser/parse_coerce.c, whose functions these follow.
 */
import type { Catalog, CatalogType } from '../facts/catalog-types.ts';

export const UNKNOWN = 705;
const RECORD = 2249;
const RECORD_ARRAY = 2287;
const TEXT = 25;
const ANY = 2276;
/** int2vector and oidvector: no array is converted to one of them. */
const VECTORS: ReadonlySet<number> = new Set([22, 30]);

const ANYELEMENT = 2283;
const ANYARRAY = 2277;
const ANYNONARRAY = 2776;
const ANYENUM = 3500;
const ANYRANGE = 3831;
const ANYMULTIRANGE = 4537;
const ANYCOMPATIBLE = 5077;
const ANYCOMPATIBLEARRAY = 5078;
const ANYCOMPATIBLENONARRAY = 5079;
const ANYCOMPATIBLERANGE = 5080;
const ANYCOMPATIBLEMULTIRANGE = 4538;
const POLYMORPHIC: ReadonlySet<number> = new Set([
  ...[ANYELEMENT, ANYARRAY, ANYNONARRAY, ANYENUM, ANYRANGE, ANYMULTIRANGE],
  ...[ANYCOMPATIBLE, ANYCOMPATIBLEARRAY, ANYCOMPATIBLENONARRAY],
  ...[ANYCOMPATIBLERANGE, ANYCOMPATIBLEMULTIRANGE],
]);

/** A type, or undefined where it is not known. */
export type Input = number | undefined;
/** `maybe`: the catalog that is known here does not tell. */
export type Answer = 'yes' | 'no' | 'maybe';

export function isPolymorphic(type: number): boolean {
  return POLYMORPHIC.has(type);
}

/** That of a parameter which takes the further arguments of a VARIADIC array type. */
export function variadicElement(catalog: Catalog, type: number): number {
  if (type === ANYARRAY) return ANYELEMENT;
  if (type === ANYCOMPATIBLEARRAY) return ANYCOMPATIBLE;
  return type === ANY ? ANY : elementOf(catalog, type);
}

/** A domain converts as its base type does. */
export function baseType(catalog: Catalog, oid: number): number {
  let current = oid;
  for (let depth = 0; depth < 32; depth++) {
    const base = catalog.typeByOid(current)?.baseOid;
    if (!base) break;
    current = base;
  }
  return current;
}

/** @returns 0: it is no array */
export function elementOf(catalog: Catalog, type: number): number {
  return catalog.typeByOid(type)?.elementOid ?? 0;
}

export function arrayOf(catalog: Catalog, element: number): number | undefined {
  return catalog.typeByOid(element)?.arrayOid || undefined;
}

/** Whether values of these types can be the arguments of a function with these parameters. */
export function canCoerce(
  catalog: Catalog,
  inputs: readonly Input[],
  declared: readonly number[],
): Answer {
  let isCertain = true;
  for (const [index, input] of inputs.entries()) {
    const answer = coercesTo(catalog, input, declared[index] ?? 0);
    if (answer === 'no') return 'no';
    isCertain &&= answer === 'yes';
  }
  if (!declared.some(isPolymorphic)) return isCertain ? 'yes' : 'maybe';
  const fit = polymorphicTypes(catalog, inputs, declared);
  return fit === 'no' || fit === 'maybe' ? fit : isCertain ? 'yes' : 'maybe';
}

function coercesTo(catalog: Catalog, input: Input, declared: number): Answer {
  if (declared === ANY || isPolymorphic(declared)) return 'yes';
  if (input === undefined) return 'maybe';
  if (input === declared || input === UNKNOWN || hasPathway(catalog, input, declared)) return 'yes';
  const [from, to] = [rowType(catalog, input), rowType(catalog, declared)];
  if (input === RECORD) return to ? 'yes' : 'no';
  if (declared === RECORD) return from ? 'yes' : 'no';
  if (declared === RECORD_ARRAY) return rowType(catalog, elementOf(catalog, input)) ? 'yes' : 'no';
  if (!from || !to) return 'no';
  // CREATE TABLE … OF makes rows that convert to the type; which tables are such is not known.
  return inherits(catalog, from, declared, new Set()) ? 'yes' : 'maybe';
}

/** find_coercion_pathway() for an implicit conversion. */
function hasPathway(catalog: Catalog, input: number, declared: number): boolean {
  const [from, to] = [baseType(catalog, input), baseType(catalog, declared)];
  if (from === to) return true;
  const context = catalog.castContexts.get(`${from} ${to}`);
  if (context !== undefined) return context === 'implicit';
  if (VECTORS.has(to)) return false;
  const [element, wanted] = [elementOf(catalog, from), elementOf(catalog, to)];
  return element !== 0 && wanted !== 0 && hasPathway(catalog, element, wanted);
}

function rowType(catalog: Catalog, oid: number): CatalogType | undefined {
  const type = catalog.typeByOid(baseType(catalog, oid));
  return type?.kind === 'c' ? type : undefined;
}

function inherits(catalog: Catalog, from: CatalogType, to: number, seen: Set<number>): boolean {
  const parents = catalog.relationByOid(from.relationOid)?.parents ?? [];
  return parents.some((oid) => {
    const parent = catalog.relationByOid(oid);
    if (parent === undefined || seen.has(oid)) return false;
    seen.add(oid);
    const type = catalog.typeByOid(parent.rowTypeOid);
    return parent.rowTypeOid === to || (type !== undefined && inherits(catalog, type, to, seen));
  });
}

/** What the polymorphic types of a call stand for; absent: nothing tells. */
export interface PolymorphicTypes {
  readonly element?: number;
  readonly array?: number;
  readonly range?: number;
  readonly multirange?: number;
  readonly compatible?: number;
  readonly compatibleRange?: number;
}

/** check_generic_type_consistency(). */
export function polymorphicTypes(
  catalog: Catalog,
  inputs: readonly Input[],
  declared: readonly number[],
): PolymorphicTypes | 'no' | 'maybe' {
  const given = inputs.map((input, index) => ({ input, to: declared[index] ?? 0 }));
  const relevant = given.filter(({ to }) => isPolymorphic(to));
  if (relevant.some(({ input }) => input === undefined)) return 'maybe';
  const of = (...kinds: readonly number[]): number[] =>
    relevant.flatMap(({ input, to }) =>
      kinds.includes(to) && input !== undefined && input !== UNKNOWN ? input : [],
    );
  const based = (kind: number): number[] => of(kind).map((oid) => baseType(catalog, oid));
  const has = (kind: number): boolean => relevant.some(({ to }) => to === kind);
  const elements = of(ANYELEMENT, ANYNONARRAY, ANYENUM);
  const arrays = based(ANYARRAY);
  const multiranges = based(ANYMULTIRANGE);
  const isKind = (oid: number, kind: string): boolean => catalog.typeByOid(oid)?.kind === kind;
  if (multiranges.some((oid) => !isKind(oid, 'm'))) return 'no';
  const ranges = [...based(ANYRANGE), ...multiranges.map((oid) => subtypeOf(catalog, oid))];
  for (const list of [elements, arrays, ranges, multiranges]) {
    if (new Set(list).size > 1) return 'no';
  }
  // A column of pg_stats has this type; nothing else agrees with it.
  if (arrays[0] === ANYARRAY) return relevant.length === 1 ? { array: ANYARRAY } : 'no';
  if (arrays.some((oid) => elementOf(catalog, oid) === 0)) return 'no';
  if (ranges.some((oid) => !isKind(oid, 'r'))) return 'no';
  const subtypes = ranges.map((oid) => subtypeOf(catalog, oid));
  const all = [...elements, ...arrays.map((oid) => elementOf(catalog, oid)), ...subtypes];
  if (new Set(all).size > 1) return 'no';
  const [element] = all;
  if (has(ANYNONARRAY) && element !== undefined && isArray(catalog, element)) return 'no';
  if (has(ANYENUM) && !(element !== undefined && isKind(element, 'e'))) return 'no';
  const compatible = compatibleTypes(catalog, relevant);
  if (compatible === 'no') return 'no';
  return {
    ...compatible,
    ...(element === undefined ? {} : { element }),
    ...(arrays[0] === undefined ? {} : { array: arrays[0] }),
    ...(ranges[0] === undefined ? {} : { range: ranges[0] }),
    ...(multiranges[0] === undefined ? {} : { multirange: multiranges[0] }),
  };
}

/** The values of these parameters, and elements of arrays, have one common type, found in their order. */
function compatibleTypes(
  catalog: Catalog,
  relevant: readonly { readonly input: Input; readonly to: number }[],
): Pick<PolymorphicTypes, 'compatible' | 'compatibleRange'> | 'no' {
  const types: number[] = [];
  const ranges = new Set<number>();
  for (const { input, to } of relevant) {
    if (input === undefined || input === UNKNOWN) continue;
    const base = baseType(catalog, input);
    if (to === ANYCOMPATIBLE || to === ANYCOMPATIBLENONARRAY) types.push(input);
    if (to === ANYCOMPATIBLEARRAY) types.push(elementOf(catalog, base));
    if (to === ANYCOMPATIBLERANGE) ranges.add(base);
    if (to === ANYCOMPATIBLEMULTIRANGE) ranges.add(subtypeOf(catalog, base));
  }
  const [range] = ranges;
  const subtype = range === undefined ? undefined : subtypeOf(catalog, range);
  if (subtype !== undefined) types.push(subtype);
  if (ranges.size > 1 || types.includes(0)) return 'no';
  if (types.length === 0) return {};
  const compatible = commonType(catalog, types);
  const isNonArray = relevant.some(({ to }) => to === ANYCOMPATIBLENONARRAY);
  if (compatible === undefined || (isNonArray && isArray(catalog, compatible))) return 'no';
  if (types.some((type) => coercesTo(catalog, type, compatible) === 'no')) return 'no';
  if (subtype !== undefined && subtype !== compatible) return 'no';
  return { compatible, ...(range === undefined ? {} : { compatibleRange: range }) };
}

/** Of a range; the range of a multirange. @returns 0: it is none */
function subtypeOf(catalog: Catalog, oid: number): number {
  return catalog.typeByOid(oid)?.subtypeOid ?? 0;
}

function isArray(catalog: Catalog, oid: number): boolean {
  return elementOf(catalog, baseType(catalog, oid)) !== 0;
}

/** enforce_generic_type_consistency(): what a call gives. @returns undefined: it is not known */
export function resultOfCall(
  catalog: Catalog,
  inputs: readonly Input[],
  declared: readonly number[],
  result: number,
): number | undefined {
  if (!isPolymorphic(result)) return result || undefined;
  const found = polymorphicTypes(catalog, inputs, declared);
  if (found === 'no' || found === 'maybe') return undefined;
  const { element, compatible = TEXT } = found;
  switch (result) {
    case ANYELEMENT:
    case ANYNONARRAY:
    case ANYENUM:
      return element;
    case ANYARRAY:
      return found.array ?? (element && arrayOf(catalog, element));
    case ANYRANGE:
      return found.range;
    case ANYMULTIRANGE:
      return found.multirange;
    case ANYCOMPATIBLE:
    case ANYCOMPATIBLENONARRAY:
      return compatible;
    case ANYCOMPATIBLEARRAY:
      return arrayOf(catalog, compatible);
    default:
      return result === ANYCOMPATIBLERANGE ? found.compatibleRange : undefined;
  }
}

/**
 * select_common_type(): what UNION, CASE, COALESCE, VALUES and the like make of values of these types.
 * @returns undefined: they have none, or one of them is not known
 */
export function commonType(catalog: Catalog, types: readonly Input[]): number | undefined {
  const [first] = types;
  if (first === undefined || types.includes(undefined)) return undefined;
  if (first !== UNKNOWN && types.every((type) => type === first)) return first;
  let best = baseType(catalog, first);
  for (const type of types.slice(1)) {
    const next = baseType(catalog, type ?? UNKNOWN);
    if (next === UNKNOWN || next === best) continue;
    if (best === UNKNOWN) {
      best = next;
      continue;
    }
    const [was, is] = [catalog.typeByOid(best), catalog.typeByOid(next)];
    if (was === undefined || was.category !== is?.category) return undefined;
    const [there, back] = [coercesTo(catalog, best, next), coercesTo(catalog, next, best)];
    if (there === 'maybe' || back === 'maybe') return undefined;
    if (was.isPreferred !== true && there === 'yes' && back === 'no') best = next;
  }
  return best === UNKNOWN ? TEXT : best;
}
