/** The name that was probably meant, for "did you mean". */

/** Two slips in a word are a typo; three are another word. */
const MAX_DISTANCE = 2;

/** @returns undefined when none is near enough, or it is the typed one itself. */
export function nearestName(typed: string, names: readonly string[]): string | undefined {
  const ranked = names
    .filter((name) => name !== typed)
    .map((name) => ({ name, distance: distance(typed.toLowerCase(), name.toLowerCase()) }))
    // With two slips of three letters everything is near.
    .filter(
      ({ name, distance: d }) => d <= MAX_DISTANCE && d < Math.min(name.length, typed.length) / 2,
    )
    .sort((left, right) => left.distance - right.distance);
  const part = names.find((name) => name !== typed && typed.length > 2 && name.startsWith(typed));
  return ranked[0]?.name ?? part;
}

/** Insertions, deletions, replacements and swapped neighbours (optimal string alignment). */
function distance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let row = 1; row <= from.length; row += 1) {
    rows.push([row]);
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      const best = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (same ? 0 : 1),
      );
      const isSwap =
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      rows[row]?.push(isSwap ? Math.min(best, at(row - 2, column - 2) + 1) : best);
    }
  }
  return at(from.length, to.length);
}
