/** The columns of a relation that are there, by number and by name: a thousand masks ask for one each. */
import type { CatalogColumn, CatalogRelation } from './catalog-types.ts';

interface Attributes {
  readonly byNumber: ReadonlyMap<number, CatalogColumn>;
  readonly byName: ReadonlyMap<string, CatalogColumn>;
}

/** By relation object: each catalog snapshot has objects of its own. */
const KNOWN = new WeakMap<CatalogRelation, Attributes>();

/** @returns undefined: it was dropped, or never was. */
export function columnByNumber(
  relation: CatalogRelation,
  attnum: number,
): CatalogColumn | undefined {
  return attributesOf(relation).byNumber.get(attnum);
}

export function columnByName(relation: CatalogRelation, name: string): CatalogColumn | undefined {
  return attributesOf(relation).byName.get(name);
}

function attributesOf(relation: CatalogRelation): Attributes {
  let known = KNOWN.get(relation);
  if (known === undefined) {
    const columns = relation.columns.filter(({ dropped }) => !dropped);
    known = {
      byNumber: new Map(columns.map((column) => [column.attnum, column])),
      byName: new Map(columns.map((column) => [column.name, column])),
    };
    KNOWN.set(relation, known);
  }
  return known;
}
