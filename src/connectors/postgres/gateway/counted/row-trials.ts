/**
 * The executions of one connection whose rows are being counted. As long as there is one, nothing is
 * sent that could commit it; see docs/design/0032-row-limits.md.
 */

import type { RowChanges } from '../../../../policy/row-changes.ts';
import { onAbort } from '../../../../until.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import type { RowDecision } from '../../policy/verdict/decide-rows.ts';
import { decodeDataRow } from '../../protocol/backend-messages.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { tellWithheld } from '../audit/statement-audit.ts';
import { createDenial, deniedExecute } from '../refusals/denial.ts';
import { runEnded } from '../statements/confirmations.ts';
import type { CountedExecution, ExecuteEntry } from '../statements/pending-queue.ts';
import type { Run } from '../statements/run.ts';
import { sendAside } from '../target/probe.ts';
import type { ChunkReader } from '../wire/chunk-reader.ts';
import { StreamEnded } from '../wire/stream-ended.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { toErrorResponse } from '../wire/to-error-response.ts';
import type { CountedQuery, EndedRun } from './counted-query.ts';
import type { RowBudget } from './row-budget.ts';
import { countersSql, type RowCounters, readCounters } from './row-counts.ts';
import { countOverdue, onlyAlone } from './row-refusals.ts';
import type { RowTrial } from './row-trial.ts';

/**
 * Longest that the client's next message waits for a count, locks included. What runs so long and
 * is then rolled back has blocked others for nothing.
 */
const COUNT_WITHIN_MS = 120_000;
/** As much as behind a statement that waits for approval. */
const MAX_BEHIND_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

/** An Execute that has to do with counting, and its execution. */
export type CountedEntry = ExecuteEntry & {
  readonly run: Run;
  readonly counted: CountedExecution;
};

export class RowTrials {
  readonly #state: StreamState;
  readonly #open = new Set<RowTrial>();
  /** The simple Query that runs as a pipeline of the gateway's own. */
  query: CountedQuery | undefined;
  /** What the client sends behind is read ahead, so that its leaving is noticed. */
  reader: ChunkReader | undefined;
  /** What is to be done when the client has sent the last data of a COPY that is counted. */
  afterCopy: (() => Promise<void>) | undefined;
  /**
   * What a count is asked about that the gateway's store must answer. The target's answers behind it
   * wait until this resolves, so that they are dealt with in the order in which they came.
   */
  waiting: Promise<void> | undefined;

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** Something that was sent is not counted yet, or not decided: nothing may commit it. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  get #isCounting(): boolean {
    for (const { exceeded } of this.#open) if (exceeded === undefined) return true;
    return false;
  }

  /**
   * Runs it with the counters asked around it, where they count.
   * @param maxRows of the client's Execute.
   * @param execute sends the Execute.
   */
  run(trial: RowTrial, maxRows: number, execute: () => void): void {
    const state = this.#state;
    const { source } = trial;
    this.#open.add(trial);
    trial.run.trial = trial;
    if (source.from === 'tag') {
      execute();
      return;
    }
    askCounters(state, source, (counters) => {
      trial.before = counters;
    });
    execute();
    askCounters(state, source, (counters) => {
      trial.after = counters;
      const answer = this.#counted(trial, maxRows);
      if (answer !== undefined) state.toClient.push(answer);
    });
  }

  /** It was above its limit, and something is in line that makes it fail. */
  decided(trial: RowTrial): void {
    this.#open.delete(trial);
  }

  /** Waits until all that was sent is counted, or has failed. @throws StreamEnded */
  settled(): Promise<void> {
    return this.#within(() => !this.#isCounting);
  }

  /**
   * Whether what was just sent reads data of the client; of a COPY only the target can tell.
   * @param afterCopy what is to be done when the client has sent all of it.
   */
  async readsCopy(afterCopy: () => Promise<void>): Promise<boolean> {
    const { copy } = this.#state;
    if (!copy.isUndecided) return false;
    this.#state.flushAnswers();
    await this.#state.waitForTarget(() => !copy.isUndecided);
    if (copy.isReading) this.afterCopy = afterCopy;
    return copy.isReading;
  }

  /** Waits until the target has answered what it has got of that Query. @throws StreamEnded */
  answered(query: CountedQuery): Promise<void> {
    return this.#within(() => this.query !== query || this.#state.queue.length === 0);
  }

  /** The client has got an error that the target knows nothing of: there it fails, too. */
  abandon(query: CountedQuery): void {
    this.#sendFailure('aside');
    query.failed();
  }

  /**
   * Waits for the end of that Query. @throws StreamEnded
   * @param send sends what is left of it; the target may take no more before something has been counted.
   */
  ended(query: CountedQuery, send?: () => Promise<void>): Promise<void> {
    return this.#within(() => this.query !== query, send);
  }

  async #within(isDone: () => boolean, send?: () => Promise<void>): Promise<void> {
    if (isDone()) return;
    const timer = setTimeout(() => this.#stop(), this.#limitMs);
    try {
      using _ = this.reader?.watch(MAX_BEHIND_BYTES, () => this.#clientEnded());
      await send?.();
      this.#state.flushAnswers();
      await this.#state.waitForTarget(isDone);
    } finally {
      clearTimeout(timer);
    }
  }

  get #limitMs(): number {
    return this.#state.options.countWithinMs ?? COUNT_WITHIN_MS;
  }

  /** It may still read what is answered. When it does not, nothing is committed any more. */
  #clientEnded(): void {
    const { options, ended } = this.#state;
    const { clientLeft } = options;
    if (clientLeft === undefined) return;
    onAbort(clientLeft, () => {
      if (this.isOpen || this.query?.isOpen === true) ended.abort();
    });
  }

  #stop(): void {
    if (!this.#isCounting) return;
    for (const trial of this.#open) trial.isOverdue = true;
    this.#state.cancels.stopCounting();
  }

  /**
   * CommandComplete.
   * @returns what the client gets.
   */
  completed({ run, counted }: CountedEntry, tag: string, bytes: Uint8Array) {
    const { trial, isContinued, maxRows } = counted;
    const isShown = !this.#state.withholding;
    const shown = { run, tag, rows: NOTHING, end: isShown ? bytes : NOTHING };
    if (trial === undefined) return this.#ran(shown, counted.query);
    if (isContinued === true) {
      if (!isShown) return this.#ran(shown, counted.query);
      const portion = trial.portion(maxRows);
      run.bytes += portion.rows.length;
      return this.#ran({ ...shown, ...portion }, counted.query);
    }
    trial.tag = tag;
    return trial.source.from === 'tag' ? this.#counted(trial, maxRows) : undefined;
  }

  /** @returns the error in place of a cancel that is the gateway's own doing. */
  overdue(sqlState: string): Uint8Array | undefined {
    if (!this.isOpen || sqlState !== SQL_STATE.queryCanceled) return undefined;
    const overdue = [...this.#open].find(({ isOverdue }) => isOverdue);
    if (overdue === undefined) return undefined;
    const refusal = countOverdue(overdue.allowed, this.#limitMs);
    tellWithheld(this.#state.options, overdue.run, refusal);
    return toErrorResponse(refusal, this.#state.saying);
  }

  /**
   * Its count is known.
   * @returns what the client gets, unless that has to wait
   */
  #counted(trial: RowTrial, maxRows: number): Uint8Array | undefined {
    const { changes } = trial;
    const decision = trial.decide(changes);
    // Something before it was above its limit, and what fails its transaction is in line.
    if (!this.#open.has(trial)) return this.#ranUnseen(trial);
    if (decision.effect !== 'allow') return this.#exceeds(trial, changes, decision);
    const refusal = this.#spend(trial, changes);
    if (!(refusal instanceof Promise)) return this.#spent(trial, maxRows, refusal);
    this.#wait(refusal, trial, maxRows);
    return undefined;
  }

  /** It stays open meanwhile, so nothing that could commit it is sent. */
  #wait(refusal: Promise<SqlRefusal | undefined>, trial: RowTrial, maxRows: number): void {
    const state = this.#state;
    const release = state.queue.keepAnswer();
    this.waiting = refusal
      .then((known) => {
        // Nobody is told of it any more, and the target rolls it back.
        if (state.ended.signal.aborted) return;
        const answer = this.#spent(trial, maxRows, known);
        if (answer !== undefined) state.toClient.push(answer);
      })
      .finally(() => {
        this.waiting = undefined;
        release();
      });
  }

  /** What it uses up is used up. @param refusal why it must not be committed */
  #spent(
    trial: RowTrial,
    maxRows: number,
    refusal: SqlRefusal | undefined,
  ): Uint8Array | undefined {
    if (!this.#open.delete(trial)) return this.#ranUnseen(trial);
    if (!this.#state.withholding) return this.#handOut(trial, maxRows, refusal);
    // The client has an error already; what is above its limit must not be committed either.
    if (refusal !== undefined) this.#fail(trial);
    return this.#ranUnseen(trial);
  }

  #exceeds(
    trial: RowTrial,
    changes: RowChanges,
    decision: Exclude<RowDecision, { effect: 'allow' }>,
  ): Uint8Array | undefined {
    if (this.#state.withholding) {
      this.#open.delete(trial);
      this.#fail(trial);
      return this.#ranUnseen(trial);
    }
    if (decision.effect === 'hold' && trial.isApprovable) {
      trial.exceeded = changes;
      return undefined;
    }
    this.#open.delete(trial);
    const refusal =
      decision.effect === 'refuse' ? decision.refusal : onlyAlone(trial.allowed, changes);
    return this.#refuse(trial, refusal);
  }

  /**
   * Somebody has let it go on where it stands, above its limit.
   * @returns what the client gets of it.
   * @throws StreamEnded
   */
  async released(trial: RowTrial, maxRows: number): Promise<Uint8Array | undefined> {
    const { rowBudget, ended } = this.#state;
    const refusal = await rowBudget.spend(trial.allowed, trial.changes, true);
    if (ended.signal.aborted) throw new StreamEnded('the stream is over');
    this.decided(trial);
    return this.#handOut(trial, maxRows, refusal);
  }

  #spend({ allowed, isReleased }: RowTrial, changes: RowChanges): ReturnType<RowBudget['spend']> {
    return this.#state.rowBudget.spend(allowed, changes, isReleased);
  }

  #handOut(
    trial: RowTrial,
    maxRows: number,
    refusal: SqlRefusal | undefined,
  ): Uint8Array | undefined {
    if (refusal !== undefined) return this.#refuse(trial, refusal);
    const { run, query, tag = '' } = trial;
    const portion = trial.portion(maxRows);
    run.bytes += portion.rows.length;
    return this.#ran({ run, tag, ...portion }, query);
  }

  #ranUnseen({ run, tag = '', query }: RowTrial): Uint8Array | undefined {
    return this.#ran({ run, tag, rows: NOTHING, end: NOTHING }, query);
  }

  #ran(ended: EndedRun, query: CountedQuery | undefined): Uint8Array | undefined {
    if (query !== undefined) return query.ran(ended);
    runEnded(this.#state, ended.run, ended);
    return Buffer.concat([ended.rows, ended.end]);
  }

  /**
   * The client gets an error in place of what it was to get, and the transaction fails.
   * @returns the error.
   */
  #refuse(trial: RowTrial, refusal: SqlRefusal): Uint8Array {
    const state = this.#state;
    tellWithheld(state.options, trial.run, refusal);
    runEnded(state, trial.run, { sqlState: refusal.sqlState });
    state.withholding = true;
    this.#fail(trial);
    return toErrorResponse(refusal, state.saying);
  }

  /**
   * Makes the transaction fail at the target, as any error would: with an Execute that it refuses.
   * The Sync of this segment has not been sent, for it waits until all is counted.
   */
  #fail({ query }: RowTrial): void {
    this.#sendFailure('aside');
    if (query !== undefined) query.failed();
    else this.#state.releaseSoon();
  }

  /** Ends the transaction of one that is all that there is in it; nobody is told. */
  async rollBack({ run }: RowTrial): Promise<void> {
    const state = this.#state;
    this.#sendFailure('own');
    state.sendSync(undefined, 'own');
    runEnded(state, run, { sqlState: SQL_STATE.transactionRollback });
    await state.waitForTarget(() => state.queue.length === 0);
  }

  #sendFailure(origin: 'aside' | 'own'): void {
    const state = this.#state;
    const denial = createDenial(new Uint8Array(0));
    const { segment } = state;
    state.send(deniedExecute(denial), { kind: 'execute', origin, segment, run: undefined, denial });
    state.skipping = true;
    // Whatever they count, they are rolled back with it.
    this.#forget(segment);
  }

  /**
   * An error of the target: nothing that was sent before the next Sync takes effect.
   * @param segments that it skips; there is more than one where a Query stands in a pipeline.
   */
  failed(segments: ReadonlySet<number>, sqlState: string): void {
    const { query } = this;
    for (const segment of segments) {
      for (const { tag, exceeded, run } of this.#forget(segment)) {
        // Its count was still to come.
        if (tag !== undefined && exceeded === undefined) runEnded(this.#state, run, { sqlState });
      }
    }
    if (segments.has(this.#state.segment)) this.afterCopy = undefined;
    if (query !== undefined && segments.has(query.segment)) query.failed();
  }

  /** Those of later segments go on: an error is over with the Sync before them. */
  #forget(segment: number): readonly RowTrial[] {
    const gone = [...this.#open].filter((trial) => trial.segment === segment);
    for (const trial of gone) this.#open.delete(trial);
    return gone;
  }
}

// Asks, in the transaction of a statement that is counted, what its counters say.

/** @param onAnswer undefined: the server does not count. */
function askCounters(
  state: StreamState,
  source: Parameters<typeof countersSql>[0],
  onAnswer: (counters: RowCounters | undefined) => void,
): void {
  const rows: (string | null)[][] = [];
  sendAside(state, {
    sql: countersSql(source),
    // A Sync would end the transaction that is counted.
    origin: 'aside',
    onRow: (message) => rows.push(decodeDataRow(message.subarray(5)).values.map(ascii)),
    onEnd: () => onAnswer(readCounters(rows)),
  });
}

function ascii(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString('latin1');
}
