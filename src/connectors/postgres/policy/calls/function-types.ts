/** Types of values, and of what comes out of functions. */

import type { Catalog, CatalogFunction } from '../facts/catalog-types.ts';
import { derive, inputOf, type Lineage } from '../facts/lineage.ts';
import { isBuiltIn } from '../facts/names.ts';
import { rowTypeRelation, visibleColumns } from '../facts/row-types.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { baseType, commonType, isPolymorphic, resultOfCall } from './coercions.ts';
import type { FunctionCandidate } from './resolve-function.ts';

/** pg_type OIDs that are fixed in PostgreSQL's sources (src/include/catalog/pg_type.dat). */
export const TYPE = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  bit: 1560,
  unknown: 705,
  numeric: 1700,
  record: 2249,
  uuid: 2950,
};

const ANY = 2276;

/** A domain converts as its base type does. */
export function concreteType(facts: StatementFacts, oid: number | undefined): number {
  return concreteTypeOf(facts.context.catalog, oid);
}

export function concreteTypeOf(catalog: Catalog, oid: number | undefined): number {
  return baseType(catalog, oid ?? 0);
}

export function hasUserCast(facts: StatementFacts, from: number, to: number): boolean {
  return facts.context.catalog.userCasts.some(
    ({ source, target }) => source === from && target === to,
  );
}

export function resultOf(
  facts: StatementFacts,
  name: string,
  args: readonly Lineage[],
  candidates: readonly FunctionCandidate[],
): Lineage {
  const [first] = args;
  const possible = candidates.map(({ called }) => called);
  if (name === 'unnest' && args.length === 1 && first?.fields) {
    return derive(args, elementType(facts, first.type), first.fields);
  }
  const { catalog } = facts.context;
  const inputs = args.map(inputOf);
  const types = new Set(
    candidates.map(({ called, takes }) =>
      resultOfCall(catalog, inputs, takes, called.returnTypeOid),
    ),
  );
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

/** Whether whatever can be called gives one value, of whichever type, and no row. */
export function isScalarResult(
  facts: StatementFacts,
  functions: readonly CatalogFunction[],
): boolean {
  return functions.every(({ returnTypeOid }) => {
    const type = concreteType(facts, returnTypeOid);
    const isOpen = [ANY, TYPE.record].includes(type) || isPolymorphic(type);
    return !isOpen && isBuiltIn({ oid: type });
  });
}

/** Of a relation, of its own, or a domain over one. */
export function isRowType(facts: StatementFacts, type: number | undefined): boolean {
  return facts.context.catalog.typeByOid(concreteType(facts, type))?.kind === 'c';
}

/** What the server makes of values of these types, the first one first. */
export function commonTypeOf(
  { context: { catalog } }: StatementFacts,
  values: readonly Lineage[],
): number | undefined {
  return commonType(catalog, values.map(inputOf));
}

export function elementType(facts: StatementFacts, type: number | undefined): number | undefined {
  return facts.context.catalog.typeByOid(type ?? 0)?.elementOid || undefined;
}
