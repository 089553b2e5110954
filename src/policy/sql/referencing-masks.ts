/** A column that references a masked one has the same values in it, so it has the same mask. */
import { columnName } from '../describe-grant.ts';
import type { ColumnMask } from '../types.ts';
import { relationFamily } from './relation-family.ts';
import type { Catalog, CatalogRelation } from './types.ts';

/** These masks, and those of the columns that reference masked ones through foreign keys. */
export function withReferencing(masks: readonly ColumnMask[], catalog: Catalog): ColumnMask[] {
  const named = new Map(masks.map((mask) => [columnName(mask), mask]));
  const all = [...masks];
  const seen = new Set<string>();
  // What is added while it is walked is walked, too.
  for (const mask of all) {
    for (const { relation, column } of referencingColumns(mask, catalog)) {
      const place = { schema: relation.schema, relation: relation.name, column };
      const key = `${columnName(place)} ${mask.rule.id}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { write: _, ...rest } = mask;
      // Whether it may be written is said where it is named itself.
      const own = named.get(columnName(place))?.write ?? mask.write;
      all.push({ ...rest, ...place, ...(own === undefined ? {} : { write: own }) });
    }
  }
  return all;
}

function referencingColumns(
  mask: ColumnMask,
  catalog: Catalog,
): { readonly relation: CatalogRelation; readonly column: string }[] {
  const named = catalog.relation(mask.schema, mask.relation);
  return (named ? relationFamily(catalog, named) : []).flatMap((member) => {
    const attnum = member.columns.find(({ name }) => name === mask.column)?.attnum;
    return (member.referencedBy ?? []).flatMap((oid) => {
      const relation = catalog.relationByOid(oid);
      return (relation?.foreignKeys ?? []).flatMap(({ references, columns, referencedColumns }) => {
        const at = references === member.oid ? referencedColumns.indexOf(attnum ?? 0) : -1;
        const column = relation?.columns.find((one) => one.attnum === columns[at])?.name;
        return relation && column !== undefined ? [{ relation, column }] : [];
      });
    });
  });
}
