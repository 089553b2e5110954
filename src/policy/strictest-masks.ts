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
  const { write: _write, lookup: _lookup, ...rest } = stricter;
  // What a mask gives is given only where every policy that masks the column gives it.
  const inference = a.inference === 'allow' && b.inference === 'allow' ? 'allow' : 'deny';
  const lookup =
    inference === 'deny' && permitsLookup(a) && permitsLookup(b) ? { lookup: true as const } : {};
  const both = { ...rest, inference, ...lookup } as const;
  return a.write === 'allow' && b.write === 'allow' ? { ...both, write: 'allow' } : both;
}

/** A file that lets its masked columns be filtered by anyhow does not stand in the way of lookups. */
function permitsLookup({ inference, lookup }: ColumnMask): boolean {
  return inference === 'allow' || lookup === true;
}
