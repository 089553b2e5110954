/** The relation that a row type is of, and its columns. */
import type { CatalogColumn, CatalogRelation } from './catalog-types.ts';
import type { StatementFacts } from './statement-facts.ts';

export function rowTypeRelation(
  facts: StatementFacts,
  typeOid: number | undefined,
): CatalogRelation | undefined {
  const { catalog } = facts.context;
  const seen = new Set<number>();
  let oid = typeOid;
  while (oid !== undefined && oid !== 0 && !seen.has(oid)) {
    seen.add(oid);
    const type = catalog.typeByOid(oid);
    if (type?.relationOid) {
      return catalog.relationByOid(type.relationOid);
    }
    oid = type?.elementOid || type?.baseOid;
  }
  return undefined;
}

export function visibleColumns(relation: CatalogRelation): readonly CatalogColumn[] {
  return relation.columns.filter((column) => column.attnum > 0 && !column.dropped);
}
