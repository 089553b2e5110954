/**
 * A column that references a masked one has the same values in it, so it has the same mask; one that
 * references what is generated from a masked one is masked whole, like that.
 */

import type { ColumnMask } from '../../../../policy/types.ts';
import { columnName } from '../../../../policy/words/describe-grant.ts';
import type { Catalog, CatalogRelation } from '../facts/catalog-types.ts';
import { generatedFrom } from '../facts/generated-columns.ts';
import { columnByName, columnByNumber } from '../facts/relation-attributes.ts';
import { relationFamily } from '../facts/relation-family.ts';

interface Reference {
  readonly relation: CatalogRelation;
  readonly column: string;
  readonly isDerived: boolean;
}

/** These masks, and those of the columns that reference masked ones through foreign keys. */
export function withReferencing(masks: readonly ColumnMask[], catalog: Catalog): ColumnMask[] {
  const named = new Map(masks.map((mask) => [columnName(mask), mask]));
  const all = [...masks];
  const seen = new Set<string>();
  // What is added while it is walked is walked, too.
  for (const mask of all) {
    for (const { relation, column, isDerived } of referencingColumns(mask, catalog)) {
      const place = { schema: relation.schema, relation: relation.name, column };
      const key = `${columnName(place)} ${mask.rule.id}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { write: _, ...same } = mask;
      const rest = isDerived ? derived(same) : same;
      // Whether it may be written is said where it is named itself.
      const own = named.get(columnName(place))?.write ?? mask.write;
      all.push({ ...rest, ...place, ...(own === undefined ? {} : { write: own }) });
    }
  }
  return all;
}

function derived({ lookup: _, ...mask }: ColumnMask): ColumnMask {
  return { ...mask, mask: mask.mask === 'null' ? 'null' : 'full' };
}

function referencingColumns(mask: ColumnMask, catalog: Catalog): readonly Reference[] {
  const named = catalog.relation(mask.schema, mask.relation);
  return (named ? relationFamily(catalog, named) : []).flatMap((member) => {
    const attnum = columnByName(member, mask.column)?.attnum ?? 0;
    return [
      ...referencing(member, attnum, catalog).map((one) => ({ ...one, isDerived: false })),
      ...generatedFrom(member, attnum)
        .flatMap((column) => referencing(member, column.attnum, catalog))
        .map((one) => ({ ...one, isDerived: true })),
    ];
  });
}

function referencing(
  member: CatalogRelation,
  attnum: number,
  catalog: Catalog,
): readonly Omit<Reference, 'isDerived'>[] {
  return (member.referencedBy ?? []).flatMap((oid) => {
    const relation = catalog.relationByOid(oid);
    return (relation?.foreignKeys ?? []).flatMap(({ references, columns, referencedColumns }) => {
      const at = references === member.oid ? referencedColumns.indexOf(attnum) : -1;
      const column = relation && columnByNumber(relation, columns[at] ?? 0)?.name;
      return relation && column !== undefined ? [{ relation, column }] : [];
    });
  });
}
