/** Keys among values: what else they have of that row is the same wherever the key is. */
import type { CatalogComparison, CatalogRelation } from '../facts/catalog-types.ts';
import type { Lineage } from '../facts/lineage.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';

export interface RowKey {
  /** As in `Lineage.row`. */
  readonly row: object;
  readonly columns: readonly Lineage[];
  /**
   * Whether a GROUP BY of these values leaves out this column of the row: before PostgreSQL 18 the server
   * knows the primary key alone, and since then it takes any unique index, which may have the column.
   */
  leavesOut(attnum: number): boolean;
}

/** @returns undefined: no key of that row is among the values as it is stored */
export function keyWith(
  { context: { catalog } }: StatementFacts,
  values: readonly Lineage[],
  row: object,
): RowKey | undefined {
  const own = values.filter((value) => value.row === row && !value.collated);
  const relation = catalog.relationByOid(own[0]?.identity?.fact.oid ?? 0);
  // Children have keys of their own, and the same numbers in them.
  const isAlone =
    relation?.kind === 'p' ||
    (relation?.hadChildren !== true && catalog.childrenOf(relation?.oid ?? 0).length === 0);
  if (!relation || !isAlone) return undefined;
  const columnOf = (attnum: number): Lineage | undefined =>
    own.find(
      ({ identity }) => identity?.fact.oid === relation.oid && identity.fact.attnum === attnum,
    );
  const { primaryKey = [] } = relation;
  const isGiven = (columns: readonly number[]): boolean =>
    columns.length > 0 && columns.every((attnum) => columnOf(attnum) !== undefined);
  const unique = (relation.comparisons ?? []).filter(
    (one) => isRowKey(relation, one) && isGiven(one.columns),
  );
  const hasPrimary = isGiven(primaryKey);
  const chosen = hasPrimary ? primaryKey : unique.find(({ isKey }) => isKey)?.columns;
  if (chosen === undefined) return undefined;
  const knowsUnique = catalog.majorVersion >= 18;
  return {
    row,
    columns: chosen.flatMap((attnum) => columnOf(attnum) ?? []),
    leavesOut: (attnum) =>
      (hasPrimary || knowsUnique) &&
      (!knowsUnique || unique.every(({ columns }) => !columns.includes(attnum))),
  };
}

/** One row for each of its values: no NULL stands there, or one alone. */
function isRowKey(
  relation: CatalogRelation,
  { isPlannersKey, nullsAreEqual, columns }: CatalogComparison,
): boolean {
  const isFilled = columns.every((attnum) => columnByNumber(relation, attnum)?.notNull);
  return isPlannersKey === true && (nullsAreEqual === true || isFilled);
}
