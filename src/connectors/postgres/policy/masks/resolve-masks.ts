/**
 * What the masked columns of a policy are in a database: by their names of now, and by the attributes
 * that the names stood for before. Whoever may run DDL past the gateway can rename a column, swap two
 * tables or move one to another schema; the values stay where they are, and so must the mask.
 */

import type { Catalog, CatalogRelation, MaskBinding, MaskedName } from '../facts/catalog-types.ts';
import { columnByName, columnByNumber } from '../facts/relation-attributes.ts';
import { relationFamily } from '../facts/relation-family.ts';

export interface ResolvedMask {
  readonly mask: MaskedName;
  /** Whether the name stands for a column now. */
  readonly isNamed: boolean;
  readonly bindings: readonly MaskBinding[];
  /** Names of now of what is bound and what the name does not stand for. */
  readonly elsewhere: readonly MaskedName[];
  /** Bound before, and no longer there: dropped columns and tables. */
  readonly gone: readonly MaskBinding[];
}

/** @param before what the mask was bound to, in this very database. */
export function resolveMask(
  mask: MaskedName,
  catalog: Catalog,
  before: readonly MaskBinding[],
): ResolvedMask {
  const bound = new Map<string, MaskBinding>();
  const bind = (found: readonly MaskBinding[]): void => {
    for (const one of found) {
      const key = bindingKey(one);
      // What is the named column itself stands for its family, too.
      if (one.isNamed || !bound.has(key)) bound.set(key, one);
    }
  };
  const relation = catalog.relation(mask.schema, mask.relation);
  if (relation) bind(membersOf(mask, relation, mask.column, catalog));
  const named = new Set(bound.keys());
  const gone: MaskBinding[] = [];
  const elsewhere = new Map<string, MaskedName>();
  for (const one of before) {
    const now = columnOf(one, catalog);
    if (!now) {
      gone.push(one);
      continue;
    }
    if (one.isNamed && !named.has(bindingKey(one))) {
      elsewhere.set(bindingKey(one), nameOf(now));
    }
    bind(one.isNamed ? membersOf(mask, now.relation, now.column.name, catalog) : [one]);
  }
  return {
    mask,
    isNamed: named.size > 0,
    bindings: [...bound.values()],
    elsewhere: [...elsewhere.values()],
    gone,
  };
}

/** The attribute of a binding as it is now; undefined: it was dropped. */
export function columnOf(
  { oid, attnum }: Pick<MaskBinding, 'oid' | 'attnum'>,
  catalog: Catalog,
): { relation: CatalogRelation; column: CatalogRelation['columns'][number] } | undefined {
  const relation = catalog.relationByOid(oid);
  const column = relation && columnByNumber(relation, attnum);
  return relation && column && { relation, column };
}

export function nameOf({
  relation,
  column,
}: {
  readonly relation: Pick<CatalogRelation, 'schema' | 'name'>;
  readonly column: { readonly name: string };
}): MaskedName {
  return { schema: relation.schema, relation: relation.name, column: column.name };
}

export function bindingKey({ oid, attnum }: Pick<MaskBinding, 'oid' | 'attnum'>): string {
  return `${oid} ${attnum}`;
}

/** The column of that name in a relation and in those that share rows with it: each has a number of its own. */
function membersOf(
  mask: MaskedName,
  relation: CatalogRelation,
  column: string,
  catalog: Catalog,
): MaskBinding[] {
  return relationFamily(catalog, relation).flatMap((member) => {
    const { attnum } = columnByName(member, column) ?? {};
    const isNamed = member.oid === relation.oid;
    return attnum === undefined ? [] : [{ mask, oid: member.oid, attnum, isNamed }];
  });
}
