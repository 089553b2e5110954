/**
 * "Perhaps you meant to reference the column …", as the server says it: tools and people look for it,
 * and it names only columns of tables that the statement names itself (searchRangeTableForCol).
 */
import type { Scope } from './scope.ts';

const MAX_DISTANCE = 3;

/** @param names of a column that there is not: `name`, or `table.name`. */
export function nearColumnHint(
  scope: Scope | undefined,
  names: readonly string[],
): string | undefined {
  const wanted = names.at(-1) ?? '';
  const table = names.at(-2);
  const found: { readonly name: string; readonly distance: number }[] = [];
  for (let level = scope; level; level = level.outer) {
    for (const one of level.tables) {
      if (one.name === undefined) continue;
      const penalty = table === undefined ? 0 : distanceOf(table, one.name);
      for (const column of one.columns) {
        const distance = distanceOf(wanted, column.name);
        if (distance > wanted.length / 2 || distance + penalty > MAX_DISTANCE) continue;
        found.push({ name: `${one.name}.${column.name}`, distance: distance + penalty });
      }
    }
  }
  const least = Math.min(...found.map(({ distance }) => distance));
  const best = found.filter(({ distance }) => distance === least).map(({ name }) => `"${name}"`);
  // With more than two to choose from the server keeps silent.
  return best.length === 0 || best.length > 2
    ? undefined
    : `Perhaps you meant to reference the column ${best.join(' or the column ')}.`;
}

/** Levenshtein's, each step 1; more than MAX_DISTANCE counts as that and one. */
function distanceOf(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > MAX_DISTANCE) return MAX_DISTANCE + 1;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...left].entries()) {
    const next = [index + 1];
    for (const [at, other] of [...right].entries()) {
      const kept = (row[at] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(kept, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(row.at(-1) ?? 0, MAX_DISTANCE + 1);
}
