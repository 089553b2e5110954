/**
 * The views of pg_stat_statements read functions of that extension, in C. What these return is known
 * all the same: numbers about statements, and their texts, which are masked (system-relations.ts).
 */

import type { Catalog, CatalogFunction, CatalogRelation } from './catalog-types.ts';
import { constant, derive, type Lineage } from './lineage.ts';
import type { StatementFacts } from './statement-facts.ts';

const READING: ReadonlySet<string> = new Set(['pg_stat_statements', 'pg_stat_statements_info']);

/** @returns the view over this function, which has the same name and columns; undefined: another function. */
export function statisticsViewOf(
  called: CatalogFunction,
  catalog: Catalog,
): CatalogRelation | undefined {
  const isReading = called.extension === 'pg_stat_statements' && READING.has(called.name);
  return isReading ? catalog.relation(called.schema, called.name) : undefined;
}

/** The rows of such a function. Called by itself it needs what reading its view needs. */
export function statisticsRows(
  facts: StatementFacts,
  called: CatalogFunction,
  view: CatalogRelation,
): Lineage {
  if (!facts.view) facts.noteRelation(view);
  const fields = (called.outputs ?? []).map(({ name, typeOid }) => {
    const column = view.columns.find((one) => one.name === name && !one.dropped);
    if (!column) return { name, lineage: constant(typeOid) };
    const origin = facts.column(view, column.attnum, name);
    const origins = new Set([origin]);
    return { name, lineage: { ...constant(typeOid), origins, identity: origin } };
  });
  return derive(
    fields.map(({ lineage }) => lineage),
    called.returnTypeOid,
    fields,
  );
}
