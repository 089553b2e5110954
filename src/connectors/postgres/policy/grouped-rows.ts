/**
 * GROUP BY and DISTINCT: rows with the same values are put together, which tells that they are. And
 * they come out in an order that the server takes from the values, sorted or by their hashes: with
 * other columns as a ruler (`GROUP BY tag, g`) that order tells, off line, whether a guess is right.
 */
import type { Lineage } from './lineage.ts';
import type { StatementFacts } from './statement-facts.ts';

/**
 * A value behind the primary key of its row puts nothing together that is not one row already.
 * @param isSettled whether the order of the rows does not depend on values of this relation that
 *   stand behind its primary key
 */
export function noteGroupedRows(
  facts: StatementFacts,
  values: readonly Lineage[],
  by: string,
  isSettled: (relation: number) => boolean,
): void {
  const seen = new Map<number, Set<number>>();
  // Asked once per relation: each looks at all values, of which a text can have tens of thousands.
  const settled = once(isSettled);
  const isAllOf = once((oid) => values.every((other) => isOf(other, oid)));
  for (const value of values) {
    const { fact } = value.identity ?? {};
    if (!fact || !isKeyed(facts, value, seen) || !settled(fact.oid)) {
      if (fact && isAllOf(fact.oid)) facts.noteGrouped(value, by);
      else facts.noteComputed(value, by);
    }
    if (fact) seen.set(fact.oid, (seen.get(fact.oid) ?? new Set()).add(fact.attnum));
  }
}

function once(ask: (oid: number) => boolean): (oid: number) => boolean {
  const answers = new Map<number, boolean>();
  return (oid) => {
    const known = answers.get(oid) ?? ask(oid);
    answers.set(oid, known);
    return known;
  };
}

/** Columns of one table, so that nothing else is a ruler. */
function isOf({ identity, origins }: Lineage, oid: number): boolean {
  return origins.size === 0 || identity?.fact.oid === oid;
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

/** Whether ORDER BY leaves nothing open: it has the key of this relation, and all other columns. */
export function isOrdered(
  facts: StatementFacts,
  oid: number,
  shown: readonly Lineage[],
  sorted: readonly Lineage[],
): boolean {
  const keys = new Set(sorted.flatMap(({ identity }) => identity?.fact ?? []));
  const primary = facts.context.catalog.relationByOid(oid)?.primaryKey ?? [];
  const hasKey =
    primary.length > 0 &&
    primary.every((attnum) => [...keys].some((key) => key.oid === oid && key.attnum === attnum));
  return (
    hasKey &&
    shown.every(
      (one) => isOf(one, oid) || (one.identity !== undefined && keys.has(one.identity.fact)),
    )
  );
}
