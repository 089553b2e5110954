import type { Grant } from '../../../../policy/types.ts';
import type { CopyRewriter } from '../../masking/copy-rewriter.ts';
import type { RowMasker } from '../../masking/row-masker.ts';
import type { RowTrial } from '../counted/row-trial.ts';
import { type ConfirmedCopy, needsReading } from '../results/copy-out.ts';
import { needsDescription } from '../results/results.ts';
import type { RunMasking } from '../wire/large-rows.ts';
import type { KnownPortal, KnownStatement } from './known-statement.ts';

/** One execution of a statement: a statement of a Query, or an Execute. */
export interface Run {
  readonly statement: KnownStatement;
  /** Byte offset in the up stream of the message that runs it. */
  readonly at: number;
  /** undefined: a statement of a Query. */
  readonly portal: KnownPortal | undefined;
  /** Rows that may come of this statement, of all portions of its portal; Infinity: no limit. */
  readonly maxRows: number;
  /**
   * `unknown`: rows may not go on before their description has been checked. `pass`: they go on
   * untouched, as views. `mask`: each is rewritten. Data of a COPY counts as rows.
   */
  rowsAre: 'unknown' | 'pass' | 'mask';
  masker: RowMasker | undefined;
  /** Of a COPY … TO STDOUT: what it is about to copy, and what rewrites it. */
  confirmed: ConfirmedCopy | undefined;
  copy: CopyRewriter | undefined;
  /** What those two were made from: rows that cost much are rewritten elsewhere. */
  masking: RunMasking | undefined;
  rows: number;
  /** Messages of rows, or of a COPY's data, that the client gets. */
  bytes: number;
  /** When it was sent, or the statement before it in its Query had ended: performance.now(). */
  startedAt: number;
  /** Its rows wait there until it is known how many it changes. */
  trial: RowTrial | undefined;
}

export function startRun(
  statement: KnownStatement,
  at: number,
  grant: Grant,
  portal?: KnownPortal,
): Run {
  const isOpaque = statement.basis === undefined;
  const maxRows = isOpaque ? undefined : grant.limits.maxRows;
  const isChecked = needsDescription(statement, grant) || needsReading(statement, grant);
  return {
    statement,
    at,
    portal,
    maxRows: maxRows ?? Number.POSITIVE_INFINITY,
    rowsAre: isChecked ? 'unknown' : 'pass',
    masker: undefined,
    confirmed: undefined,
    copy: undefined,
    masking: undefined,
    rows: 0,
    bytes: 0,
    startedAt: performance.now(),
    trial: undefined,
  };
}

/**
 * Rows that may still come. A portal that is read in parts is still one result: what came of it before
 * is known when an answer comes, and not when it is sent, since portions may be asked for in a pipeline.
 */
export function rowsLeft({ maxRows, portal, rows }: Run): number {
  return maxRows - (portal?.rows ?? 0) - rows;
}
