/** Which mask holds where several name one column. */
import type { ColumnMask, MaskKind } from './types.ts';

/**
 * When two policies mask one column, the one that shows less wins. A full mask shows that there
 * is a value and nothing of it; NULL could be mistaken for "no value", so it is second; a hash
 * tells equal values apart, a partial mask shows characters.
 */
const STRICTNESS: readonly MaskKind[] = ['partial', 'hash', 'null', 'full'];

/** @returns the mask that shows less. */
export function stricterMask(a: MaskKind, b: MaskKind): MaskKind {
  return STRICTNESS.indexOf(a) >= STRICTNESS.indexOf(b) ? a : b;
}

export function strictestMasks(masks: readonly ColumnMask[]): ColumnMask[] {
  const byColumn = new Map<string, ColumnMask>();
  for (const mask of masks) {
    const key = JSON.stringify([mask.schema, mask.relation, mask.column]);
    const other = byColumn.get(key);
    byColumn.set(key, other ? stricterOf(other, mask) : mask);
  }
  return [...byColumn.values()];
}

/** What of both holds for a column that has both. */
export function stricterOf(a: ColumnMask, b: ColumnMask): ColumnMask {
  const stricter = stricterMask(a.mask, b.mask) === a.mask ? a : b;
  const { write: _, ...rest } = stricter;
  // What a mask gives is given only where every policy that masks the column gives it.
  const inference = a.inference === 'allow' && b.inference === 'allow' ? 'allow' : 'deny';
  const both = { ...rest, inference } as const;
  return a.write === 'allow' && b.write === 'allow' ? { ...both, write: 'allow' } : both;
}
