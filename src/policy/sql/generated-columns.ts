/** Columns that the server computes from others of the same row. */
import type { CatalogColumn, CatalogRelation } from './types.ts';

/** @returns attnums of the columns that this one is generated from; none: it is not. */
export function sourcesOf({ columns }: CatalogRelation, attnum: number): readonly number[] {
  const column = columns.find((one) => one.attnum === attnum);
  if (column?.generatedFrom === undefined) return [];
  const others = columns.filter(({ generatedFrom, dropped }) => !generatedFrom && !dropped);
  return column.generatedColumns ?? others.map((other) => other.attnum);
}

/** @returns the columns that are generated from this one. */
export function generatedFrom(relation: CatalogRelation, attnum: number): readonly CatalogColumn[] {
  return relation.columns.filter(
    (column) => !column.dropped && sourcesOf(relation, column.attnum).includes(attnum),
  );
}
