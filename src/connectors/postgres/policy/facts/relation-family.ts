/** Relations that share rows through inheritance and partitioning. */
import type { Catalog, CatalogRelation } from './catalog-types.ts';

/**
 * The relations whose masks concern rows read from `relation`: itself, its children and partitions
 * (their rows are in the result, unless ONLY), and every ancestor of any of these (a mask on a parent
 * follows its rows into the child, also when the child hangs below a second, unmarked parent).
 */
export function relationFamily(
  catalog: Catalog,
  relation: CatalogRelation,
  only = false,
): readonly CatalogRelation[] {
  const cache = only ? ONLY_FAMILIES : FAMILIES;
  const known = cache.get(relation) ?? collectFamily(catalog, relation, only);
  cache.set(relation, known);
  return known;
}

/** By relation object: each catalog snapshot has objects of its own. */
const FAMILIES = new WeakMap<CatalogRelation, readonly CatalogRelation[]>();
const ONLY_FAMILIES = new WeakMap<CatalogRelation, readonly CatalogRelation[]>();

function collectFamily(
  catalog: Catalog,
  relation: CatalogRelation,
  only: boolean,
): readonly CatalogRelation[] {
  const family = new Map<number, CatalogRelation>([[relation.oid, relation]]);
  if (!only) {
    for (const below of closure(relation, (next) => childrenOf(catalog, next))) {
      family.set(below.oid, below);
    }
  }
  const parents = (next: CatalogRelation) =>
    next.parents.flatMap((oid) => catalog.relationByOid(oid) ?? []);
  for (const member of [...family.values()]) {
    for (const above of closure(member, parents)) {
      family.set(above.oid, above);
    }
  }
  return [...family.values()];
}

/** Children and partitions at any depth, without the relation itself. */
export function descendants(catalog: Catalog, relation: CatalogRelation): CatalogRelation[] {
  return closure(relation, (next) => childrenOf(catalog, next)).slice(1);
}

function closure(
  start: CatalogRelation,
  next: (relation: CatalogRelation) => readonly CatalogRelation[],
): CatalogRelation[] {
  const found = new Map([[start.oid, start]]);
  for (const relation of found.values()) {
    for (const other of next(relation)) {
      found.set(other.oid, other);
    }
  }
  return [...found.values()];
}

function childrenOf(catalog: Catalog, relation: CatalogRelation): readonly CatalogRelation[] {
  return catalog.childrenOf(relation.oid);
}
