/** Types of functions: which of several can be meant, and what comes out of it. */

import type { Catalog, CatalogFunction } from './catalog-types.ts';
import { derive, type Lineage } from './lineage.ts';
import { isBuiltIn } from './names.ts';
import { rowTypeRelation, visibleColumns } from './row-types.ts';
import type { StatementFacts } from './statement-facts.ts';

/** pg_type OIDs that are fixed in PostgreSQL's sources (src/include/catalog/pg_type.dat). */
export const TYPE = {
  bool: 16,
  int8: 20,
  int4: 23,
  text: 25,
  unknown: 705,
  numeric: 1700,
  record: 2249,
};

const ANY = 2276;
/** anyelement, anynonarray, anyenum, and their `anycompatible` twins. */
const ANY_ELEMENT: ReadonlySet<number> = new Set([2283, 2776, 3500, 5077, 5079]);
/** anyrange, anymultirange and their `anycompatible` twins. */
const ANY_RANGE: ReadonlySet<number> = new Set([3831, 5080]);
const ANY_MULTIRANGE: ReadonlySet<number> = new Set([4537, 4538]);
/** anyarray, anycompatiblearray. */
const ANY_ARRAY: ReadonlySet<number> = new Set([2277, 5078]);

/** Whether PostgreSQL could choose this function for these argument types. */
export function mayTake(
  facts: StatementFacts,
  candidate: CatalogFunction,
  args: readonly Lineage[],
  trusted: readonly CatalogFunction[],
): boolean {
  return args.every((argument, index) => {
    const declared = concreteType(facts, candidate.argTypeOids[index]);
    const isLastOfVariadic = candidate.variadic && index >= candidate.argTypeOids.length - 1;
    // To a built-in type there may be a built-in conversion; from an unknown one anything.
    if (isLastOfVariadic || isBuiltIn({ oid: declared }) || argument.type === undefined) {
      return true;
    }
    if (argument.type === TYPE.unknown || argument.type === 0) {
      // A bare literal prefers text over every other type (func_select_candidate, rule 4.f).
      return !trusted.some((other) => other.argTypeOids[index] === TYPE.text);
    }
    // A row without a name becomes one of any row type.
    const isRow = argument.type === TYPE.record && rowTypeRelation(facts, declared) !== undefined;
    return isRow || argument.type === declared || hasUserCast(facts, argument.type, declared);
  });
}

/** A domain converts as its base type does. */
export function concreteType(facts: StatementFacts, oid: number | undefined): number {
  return concreteTypeOf(facts.context.catalog, oid);
}

export function concreteTypeOf(catalog: Catalog, oid: number | undefined): number {
  let current = oid ?? 0;
  for (let depth = 0; depth < 32; depth++) {
    const base = catalog.typeByOid(current)?.baseOid;
    if (!base) {
      break;
    }
    current = base;
  }
  return current;
}

export function hasUserCast(facts: StatementFacts, from: number, to: number): boolean {
  return facts.context.catalog.userCasts.some(
    ({ source, target }) => source === from && target === to,
  );
}

/** Exact matches if there are any, then those whose polymorphic parameters fit, then all. */
export function bestMatches(
  facts: StatementFacts,
  candidates: readonly CatalogFunction[],
  args: readonly Lineage[],
): readonly CatalogFunction[] {
  const exact = candidates.filter((candidate) =>
    args.every((argument, index) => argument.type === candidate.argTypeOids[index]),
  );
  if (exact.length > 0) {
    return exact;
  }
  const fitting = candidates.filter((candidate) =>
    args.every((argument, index) => {
      const declared = candidate.argTypeOids[index] ?? 0;
      return argument.type === declared || fitsPolymorphic(facts, argument.type, declared);
    }),
  );
  return fitting.length > 0 ? fitting : candidates;
}

function fitsPolymorphic(
  facts: StatementFacts,
  actual: number | undefined,
  declared: number,
): boolean {
  const type = facts.context.catalog.typeByOid(actual ?? 0);
  if (!type) return false;
  if (ANY_ELEMENT.has(declared) || declared === ANY) return true;
  if (ANY_ARRAY.has(declared)) return type.elementOid !== 0;
  if (ANY_RANGE.has(declared)) return type.kind === 'r';
  return ANY_MULTIRANGE.has(declared) && type.kind === 'm';
}

export function resultOf(
  facts: StatementFacts,
  name: string,
  args: readonly Lineage[],
  possible: readonly CatalogFunction[],
): Lineage {
  const [first] = args;
  if (name === 'unnest' && args.length === 1 && first?.fields) {
    return derive(args, elementType(facts, first.type), first.fields);
  }
  const types = new Set(possible.map((candidate) => resultType(facts, candidate, args)));
  const type = types.size === 1 ? [...types][0] : undefined;
  const relation = rowTypeRelation(facts, type);
  const inner = derive(args);
  const fields = relation
    ? visibleColumns(relation).map((column) => ({
        name: column.name,
        lineage: { ...inner, type: column.typeOid },
      }))
    : outputFields(possible, inner);
  return { ...inner, type, fields };
}

/** Columns of a function with OUT parameters. */
function outputFields(possible: readonly CatalogFunction[], inner: Lineage): Lineage['fields'] {
  const [first] = possible;
  if (!first?.outputs || first.outputs.length < 2) {
    return undefined;
  }
  const shape = (candidate: CatalogFunction) =>
    candidate.outputs?.map((output) => output.name).join('\0');
  if (possible.some((candidate) => shape(candidate) !== shape(first))) {
    return undefined;
  }
  return first.outputs.map((output) => ({
    name: output.name,
    lineage: { ...inner, type: output.typeOid },
  }));
}

function resultType(
  facts: StatementFacts,
  candidate: CatalogFunction,
  args: readonly Lineage[],
): number | undefined {
  const declared = candidate.returnTypeOid;
  if (!ANY_ELEMENT.has(declared) && !ANY_ARRAY.has(declared)) {
    return declared;
  }
  const element = args.reduce<number | undefined>((found, argument, index) => {
    const parameter = candidate.argTypeOids[index] ?? 0;
    if (found !== undefined || argument.type === undefined) return found;
    if (ANY_ELEMENT.has(parameter)) return argument.type;
    return ANY_ARRAY.has(parameter) ? elementType(facts, argument.type) : undefined;
  }, undefined);
  if (ANY_ELEMENT.has(declared) || element === undefined) {
    return element;
  }
  return facts.context.catalog.typeByOid(element)?.arrayOid || undefined;
}

/** Whether whatever can be called gives one value, of whichever type, and no row. */
export function isScalarResult(
  facts: StatementFacts,
  functions: readonly CatalogFunction[],
): boolean {
  return functions.every(({ returnTypeOid }) => {
    const type = concreteType(facts, returnTypeOid);
    const isOpen = [ANY, TYPE.record].includes(type) || ANY_ELEMENT.has(type);
    return !isOpen && isBuiltIn({ oid: type });
  });
}

/** Of a relation, of its own, or a domain over one. */
export function isRowType(facts: StatementFacts, type: number | undefined): boolean {
  return facts.context.catalog.typeByOid(concreteType(facts, type))?.kind === 'c';
}

export function elementType(facts: StatementFacts, type: number | undefined): number | undefined {
  return facts.context.catalog.typeByOid(type ?? 0)?.elementOid || undefined;
}
