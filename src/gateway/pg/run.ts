import type { RowMasker } from '../../masking/row-masker.ts';
import type { Grant } from '../../policy/types.ts';
import type { KnownPortal, KnownStatement } from './known-statement.ts';
import { needsDescription } from './results.ts';

/** One execution of a statement: a statement of a Query, or an Execute. */
export interface Run {
  readonly statement: KnownStatement;
  /** Byte offset in the up stream of the message that runs it. */
  readonly at: number;
  /** undefined: a statement of a Query. */
  readonly portal: KnownPortal | undefined;
  /** Of the grant; Infinity: no limit. */
  readonly maxRows: number;
  /**
   * `unknown`: rows may not go on before their description has been checked. `pass`: they go on
   * untouched, as views. `mask`: each is rewritten.
   */
  rowsAre: 'unknown' | 'pass' | 'mask';
  masker: RowMasker | undefined;
  rows: number;
}

export function startRun(
  statement: KnownStatement,
  at: number,
  grant: Grant,
  portal?: KnownPortal,
): Run {
  const isOpaque = statement.basis === undefined;
  return {
    statement,
    at,
    portal,
    maxRows: isOpaque
      ? Number.POSITIVE_INFINITY
      : (grant.limits.maxRows ?? Number.POSITIVE_INFINITY),
    rowsAre: needsDescription(statement, grant) ? 'unknown' : 'pass',
    masker: undefined,
    rows: 0,
  };
}
