/**
 * One execution whose changed rows are counted before anything that could commit them is sent.
 * What the client would get of it is kept until then.
 */

import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { RowCountSource } from '../../policy/facts/analysis-types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { decideRows, isCovered, type RowDecision } from '../../policy/verdict/decide-rows.ts';
import { encodeCommandComplete } from '../../protocol/backend-messages.ts';
import { encodeEmptyBackend } from '../../protocol/empty-messages.ts';
import { BYTES } from '../../protocol/text-codec.ts';
import type { Run } from '../statements/run.ts';
import type { CountedQuery } from './counted-query.ts';
import {
  changesBetween,
  changesOfTag,
  mayBeHeld,
  type RowCounters,
  tagOfPortion,
} from './row-counts.ts';
import { resultTooLarge } from './row-refusals.ts';

/** Bytes of a result that are kept. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
const SUSPENDED = encodeEmptyBackend('PortalSuspended');

/** Where a number is to be had. */
export type Countable = Exclude<RowCountSource, { from: 'nowhere' }>;

interface TrialOptions {
  readonly run: Run;
  readonly allowed: AllowedStatement;
  readonly source: Countable;
  /** Whether it can be approved, and what was approved already. */
  readonly approval: { readonly covered: RowChanges | undefined } | 'none';
  /** In which it is sent. */
  readonly segment: number;
  readonly query: CountedQuery | undefined;
  /** Somebody has let it run, as it was shown. */
  readonly isReleased: boolean;
}

export class RowTrial {
  readonly run: Run;
  readonly source: Countable;
  readonly segment: number;
  /** Whose statement it is. */
  readonly query: CountedQuery | undefined;
  readonly #allowed: AllowedStatement;
  /** What an approval that was given for it covers. */
  readonly #covered: RowChanges | undefined;
  before: RowCounters | undefined;
  after: RowCounters | undefined;
  /** Of CommandComplete; undefined: it runs. */
  tag: string | undefined;
  /** It is above its limit and may be approved: for the client's side to go on with. */
  exceeded: RowChanges | undefined;
  /** Whether a request for approval can be made for it, or it can only be refused. */
  readonly isApprovable: boolean;
  /** Somebody has let it run: limits of changed rows count it, and do not refuse it. */
  readonly isReleased: boolean;
  /** It was stopped, because it took too long. */
  isOverdue = false;
  /** Rows of a result beyond which it is refused for certain, and none is kept. */
  readonly #ceiling: number;
  #rows: Uint8Array[] = [];
  #keptBytes = 0;
  #isTooLarge = false;
  #handedOut = 0;

  constructor({ run, allowed, source, approval, segment, query, isReleased }: TrialOptions) {
    this.isReleased = isReleased;
    this.run = run;
    this.segment = segment;
    this.query = query;
    this.isApprovable = approval !== 'none';
    this.#allowed = allowed;
    this.source = source;
    this.#covered = approval === 'none' ? undefined : approval.covered;
    const [lowest] = allowed.rowThresholds ?? [];
    const isCertain = source.from === 'tag' && lowest !== undefined && !mayBeHeld(allowed);
    this.#ceiling = isCertain ? lowest.above : Number.POSITIVE_INFINITY;
  }

  /** @param row what the client is to get, memory that nobody changes. */
  keep(row: Uint8Array): void {
    this.#keptBytes += row.length;
    if (this.#keptBytes > MAX_KEPT_BYTES) this.#isTooLarge = true;
    if (this.#isTooLarge || this.#rows.length > this.#ceiling) this.#rows = [];
    else if (this.run.rows <= this.#ceiling) this.#rows.push(row);
  }

  get allowed(): AllowedStatement {
    return this.#allowed;
  }

  get changes(): RowChanges {
    const { allowed, basis } = this.run.statement;
    if (this.source.from === 'tag') {
      return changesOfTag(this.tag ?? '', allowed?.analysis.writes ?? []);
    }
    if (basis === undefined) return { counted: 'not counted', why: 'nothing is known of it' };
    return changesBetween(this.before, this.after, basis.catalog);
  }

  decide(changes: RowChanges): RowDecision {
    if (this.#isTooLarge) {
      return { effect: 'refuse', refusal: resultTooLarge(this.#allowed, MAX_KEPT_BYTES) };
    }
    const isApproved = this.#covered !== undefined && isCovered(changes, this.#covered);
    return isApproved ? { effect: 'allow' } : decideRows(this.#allowed, changes);
  }

  /** @param maxRows of the client's Execute; 0 or less: all. */
  portion(maxRows: number): { readonly rows: Uint8Array; readonly end: Uint8Array } {
    const isFirst = this.#handedOut === 0;
    const rows = maxRows > 0 ? this.#rows.splice(0, maxRows) : this.#rows.splice(0);
    this.#handedOut += rows.length;
    const isWhole = isFirst && this.#rows.length === 0;
    // As the server does it: a portion that is as long as was asked for may not be the last.
    if (maxRows > 0 && rows.length === maxRows)
      return { rows: Buffer.concat(rows), end: SUSPENDED };
    const tag = this.tag ?? '';
    const shown = isWhole ? tag : tagOfPortion(tag, rows.length);
    return { rows: Buffer.concat(rows), end: encodeCommandComplete({ tag: shown }, BYTES) };
  }
}
