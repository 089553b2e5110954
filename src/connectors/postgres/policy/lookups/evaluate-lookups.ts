/** Lookups by the value of a masked column: which a mask permits, and which of them count. */
import type { ColumnMask, Grant } from '../../../../policy/types.ts';
import type { LookupFact, StatementAnalysis } from '../facts/analysis-types.ts';
import type { SqlRefusal } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { inferenceRefusal } from '../verdict/evaluate-inference.ts';

/** @returns why the statement must not run: a mask does not permit what it looks up. */
export function refuseLookups(
  { lookups = [] }: StatementAnalysis,
  grant: Grant,
  masks: MaskIndex,
): SqlRefusal | undefined {
  const [refused] = lookups
    .flatMap((lookup) => counting(lookup, masks))
    .filter(({ lookup }) => lookup !== true);
  return refused && inferenceRefusal(grant, refused, 'operator =');
}

/** Those that count; where every comparison is allowed, this one is a condition like others. */
export function countedLookups(
  { lookups = [] }: StatementAnalysis,
  masks: MaskIndex,
): { readonly lookups?: readonly LookupFact[] } {
  const counted = lookups.filter((lookup) => counting(lookup, masks).length > 0);
  return counted.length === 0 ? {} : { lookups: counted };
}

function counting({ columns }: LookupFact, masks: MaskIndex): ColumnMask[] {
  return columns.flatMap((column) => {
    const mask = masks.of(column);
    return mask?.inference === 'deny' ? [mask] : [];
  });
}
