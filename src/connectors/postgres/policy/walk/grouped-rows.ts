/**
 * GROUP BY, DISTINCT and UNION: rows with the same values are put together, which tells that they are.
 * And they come out in an order that the server takes from the values, sorted or by their hashes: with
 * other columns as a ruler (`GROUP BY tag, g`) that order tells, off line, whether a guess is right.
 *
 * A value beside the primary key of its row puts nothing together that is not one row already. What is left
 * is the order, which depends on such a value unless
 * - the server groups by the key alone, as it does in a plain GROUP BY,
 * - ORDER BY sets it by keys and other columns, or
 * - the rows are counted only.
 */
import type { Lineage } from '../facts/lineage.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { keyWith, type RowKey } from './row-keys.ts';

/**
 * @param isSettled whether the order of the rows does not depend on values behind this key
 */
export function noteGroupedRows(
  facts: StatementFacts,
  values: readonly Lineage[],
  by: string,
  isSettled: (key: RowKey, attnum: number) => boolean,
  isUnion = false,
): void {
  const keyOf = once((row: object) => keyWith(facts, values, row));
  const isAllOf = once((oid: number) => values.every((other) => isOf(other, oid)));
  for (const value of values) {
    const { fact } = value.identity ?? {};
    const key = value.row && !value.collated ? keyOf(value.row) : undefined;
    if (fact && key && isSettled(key, fact.attnum)) continue;
    if (fact && !isUnion && isAllOf(fact.oid)) facts.noteGrouped(value, by);
    else facts.noteComputed(value, by);
  }
}

/** Asks once for each: each looks at all values, of which a text can have tens of thousands. */
export function once<Asked, Answer>(ask: (one: Asked) => Answer): (one: Asked) => Answer {
  const answers = new Map<Asked, Answer>();
  return (one) => {
    const known = answers.get(one);
    if (known !== undefined || answers.has(one)) return known as Answer;
    const answer = ask(one);
    answers.set(one, answer);
    return answer;
  };
}

/** Columns of one table, so that nothing else is a ruler. */
function isOf({ identity, origins }: Lineage, oid: number): boolean {
  return origins.size === 0 || identity?.fact.oid === oid;
}

/** Whether ORDER BY leaves nothing open: it has the key of this row, and all else or the key that it is behind. */
export function isOrdered(
  facts: StatementFacts,
  { row, columns }: RowKey,
  shown: readonly Lineage[],
  sorted: readonly Lineage[],
): boolean {
  const sets = (value: Lineage): boolean =>
    sorted.some((key) => !key.collated && key.row === value.row && key.identity === value.identity);
  const setsKeyOf = once(
    (other: object) => keyWith(facts, shown, other)?.columns.every(sets) === true,
  );
  return (
    columns.every(sets) &&
    shown.every(
      (one) =>
        one.isFixed === true ||
        (one.row !== undefined && (one.row === row || setsKeyOf(one.row))) ||
        (one.identity !== undefined && sets(one)),
    )
  );
}
