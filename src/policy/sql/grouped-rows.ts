/** GROUP BY and DISTINCT: rows with the same values are put together, which tells that they are. */
import type { Lineage } from './lineage.ts';
import type { StatementFacts } from './statement-facts.ts';

/**
 * Behind the primary key of its row a value puts nothing together that is not one row already; and
 * where the rows are sorted for it, they are sorted by the key. So `GROUP BY id, email` tells nothing
 * about the addresses, and `GROUP BY email, id` brings the rows in their order.
 */
export function noteGroupedRows(
  facts: StatementFacts,
  values: readonly Lineage[],
  by: string,
): void {
  const seen = new Map<number, Set<number>>();
  for (const value of values) {
    if (!isKeyed(facts, value, seen)) facts.noteGrouped(value, by);
    const { fact } = value.identity ?? {};
    if (fact) seen.set(fact.oid, (seen.get(fact.oid) ?? new Set()).add(fact.attnum));
  }
}

function isKeyed(
  facts: StatementFacts,
  { identity }: Lineage,
  seen: ReadonlyMap<number, ReadonlySet<number>>,
): boolean {
  const { catalog } = facts.context;
  const relation = identity && catalog.relationByOid(identity.fact.oid);
  const before = relation && seen.get(relation.oid);
  if (!relation?.primaryKey?.every((attnum) => before?.has(attnum))) {
    return false;
  }
  // Children have keys of their own, and the same numbers in them.
  const isAlone = relation.kind === 'p' || catalog.childrenOf(relation.oid).length === 0;
  return isAlone && facts.isReferencedOnce(relation);
}
