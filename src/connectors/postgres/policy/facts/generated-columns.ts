/** Columns that the server computes from others of the same row. */
import type { CatalogColumn, CatalogRelation } from './catalog-types.ts';
import { columnByNumber } from './relation-attributes.ts';

/** bool, text, tsvector. */
const NEVER_CAST: ReadonlySet<number> = new Set([16, 25, 3614]);

/** @returns attnums of the columns that this one is generated from; none: it is not. */
export function sourcesOf(relation: CatalogRelation, attnum: number): readonly number[] {
  const column = columnByNumber(relation, attnum);
  if (column?.generatedFrom === undefined) return [];
  const others = relation.columns.filter(
    ({ generatedFrom, dropped }) => !generatedFrom && !dropped,
  );
  return column.generatedColumns ?? others.map((other) => other.attnum);
}

/** @returns the columns that are generated from this one. */
export function generatedFrom(relation: CatalogRelation, attnum: number): readonly CatalogColumn[] {
  let known = GENERATED.get(relation);
  if (known === undefined) {
    known = collectGenerated(relation);
    GENERATED.set(relation, known);
  }
  return known.get(attnum) ?? [];
}

/** By relation object, as in relation-family.ts: each of a thousand masks asks about its own column. */
const GENERATED = new WeakMap<CatalogRelation, ReadonlyMap<number, readonly CatalogColumn[]>>();

function collectGenerated(relation: CatalogRelation): Map<number, CatalogColumn[]> {
  const found = new Map<number, CatalogColumn[]>();
  for (const column of relation.columns) {
    if (column.dropped || column.generatedFrom === undefined) continue;
    for (const source of new Set(sourcesOf(relation, column.attnum))) {
      found.set(source, [...(found.get(source) ?? []), column]);
    }
  }
  return found;
}

/** Whether it depends on the values that it is made of if the row can be written. */
export function canFail({ generatedIsTotal, typeOid }: CatalogColumn): boolean {
  // The cast to any other type is not in the text, and neither is the length of a varchar(n).
  return !generatedIsTotal || !NEVER_CAST.has(typeOid);
}
