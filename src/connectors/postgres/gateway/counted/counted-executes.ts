/**
 * Execute of a statement whose rows are counted. It goes out without the client's row limit: an
 * UPDATE … RETURNING changes all of its rows however few are asked for, and is not committed before
 * they are counted. What the client asks for is handed out in its portions from what is kept.
 */

import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { encodeExecute } from '../../protocol/frontend-messages.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { CountedRequest } from '../approvals/approval-ask.ts';
import { runEnded } from '../statements/confirmations.ts';
import type { KnownPortal, KnownStatement } from '../statements/known-statement.ts';
import type { CountedExecution } from '../statements/pending-queue.ts';
import { startRun } from '../statements/run.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { decideUncounted } from './row-budget.ts';
import { countSource, mayBeHeld } from './row-counts.ts';
import { type Countable, RowTrial } from './row-trial.ts';

export interface Execution {
  /** Byte offset of its message in the up stream. */
  readonly at: number;
  /** Of the portal. */
  readonly name: string;
  readonly portal: KnownPortal;
  readonly statement: KnownStatement;
  readonly isApproved: boolean;
}

export interface Released {
  readonly statement: KnownStatement;
  /** Rows that it may change by the approval. */
  readonly covers: RowChanges | undefined;
}

interface Portals {
  execute(bytes: Uint8Array, execution: Execution, counted?: CountedExecution): void;
  /** Waits for an approval. @returns undefined: it was refused, or will be skipped. */
  released(execution: Execution, counted: CountedRequest): Promise<Released | undefined>;
  refuse(at: number, refusal: SqlRefusal, text: string): void;
}

export class CountedExecutes {
  readonly #state: StreamState;
  readonly #portals: Portals;

  constructor(state: StreamState, portals: Portals) {
    this.#state = state;
    this.#portals = portals;
  }

  /** @param maxRows as the client has asked. */
  async execute(asked: Execution, maxRows: number): Promise<void> {
    const { portal } = asked;
    const { generation } = this.#state.options.grant();
    if (portal.trial !== undefined) return this.#continue(asked, portal.trial, maxRows);
    const source = countSource(asked.statement, portal.statement);
    if (source.from !== 'nowhere') return this.#count(asked, source, maxRows);
    if (portal.uncounted === generation) {
      this.#portals.execute(this.#message(asked, maxRows), { ...asked, isApproved: true });
    } else await this.#uncounted(asked, { counted: 'not counted', why: source.why }, maxRows);
  }

  /** The rest of a result that has been counted; the target says whether the portal is still there. */
  #continue(execution: Execution, trial: RowTrial, maxRows: number): void {
    const counted = { trial, isContinued: true, maxRows, query: undefined };
    this.#portals.execute(this.#message(execution, 0), execution, counted);
  }

  /** What cannot be counted is not tried in order to find out. */
  async #uncounted(execution: Execution, changes: RowChanges, maxRows: number): Promise<void> {
    const { allowed, source } = execution.statement;
    const decision = decideUncounted(allowed, changes, execution.isApproved);
    if (decision.effect === 'allow') {
      this.#portals.execute(this.#message(execution, maxRows), execution);
      return;
    }
    if (decision.effect === 'refuse') {
      this.#portals.refuse(execution.at, decision.refusal, source);
      return;
    }
    const released = await this.#portals.released(execution, { changes, transaction: 'not run' });
    if (released === undefined) return;
    execution.portal.uncounted = this.#state.options.grant().generation;
    const { statement } = released;
    const approved = { ...execution, statement, isApproved: true };
    this.#portals.execute(this.#message(execution, maxRows), approved);
  }

  async #count(asked: Execution, source: Countable, maxRows: number): Promise<void> {
    const { trials } = this.#state;
    let execution = asked;
    const isAlone = this.#isAlone(execution.portal);
    let covered: RowChanges | undefined;
    for (;;) {
      const { allowed } = execution.statement;
      if (allowed === undefined) throw new TypeError('a statement of which nothing is known');
      const trial = this.#send(execution, source, covered, maxRows);
      if (!mayBeHeld(allowed)) return;
      if (await trials.readsCopy(() => this.#decide(execution, trial, maxRows))) return;
      await trials.settled();
      if (trial.exceeded === undefined) return;
      // Known only now: a BEGIN right before it had not been answered.
      const canLeave = isAlone && this.#state.settings.transaction === 'idle';
      if (!canLeave) return this.#decide(execution, trial, maxRows);
      // So that nobody waits for its locks while people are asked.
      await trials.rollBack(trial);
      const counted = { changes: trial.exceeded, transaction: 'left' } as const;
      const released = await this.#portals.released(execution, counted);
      if (released === undefined) return;
      covered = released.covers;
      execution = { ...execution, statement: released.statement, isApproved: true };
    }
  }

  #send(
    execution: Execution,
    source: Countable,
    covered: RowChanges | undefined,
    maxRows: number,
  ): RowTrial {
    const state = this.#state;
    const { statement, at, portal } = execution;
    const { allowed } = statement;
    if (allowed === undefined) throw new TypeError('a statement of which nothing is known');
    const run = startRun(statement, at, state.options.grant(), portal);
    const { segment } = state;
    const approval = { covered };
    const isReleased = execution.isApproved;
    const options = { run, allowed, source, approval, segment, query: undefined, isReleased };
    const trial = new RowTrial(options);
    const counted = { trial, maxRows, query: undefined };
    state.trials.run(trial, maxRows, () =>
      this.#portals.execute(this.#message(execution, 0), execution, counted),
    );
    portal.trial = trial;
    return trial;
  }

  /**
   * It stays where it is, in a transaction that does other things too: an approval that was given
   * before lets it go on, otherwise it fails as any statement may.
   */
  async #decide(execution: Execution, trial: RowTrial, maxRows: number): Promise<void> {
    const { trials, toClient } = this.#state;
    await trials.settled();
    const changes = trial.exceeded;
    if (changes === undefined) return;
    const released = await this.#portals.released(execution, { changes, transaction: 'open' });
    if (released === undefined) {
      trials.decided(trial);
      runEnded(this.#state, trial.run, { sqlState: SQL_STATE.transactionRollback });
      return;
    }
    const answer = await trials.released(trial, maxRows);
    if (answer !== undefined) toClient.push(answer);
    await toClient.flush();
  }

  /** All that there is in the transaction is this portal, which can be bound again. */
  #isAlone({ bound }: KnownPortal): boolean {
    const { inSegment, segment } = this.#state;
    const { binds, renames, runs } = inSegment;
    return bound?.segment === segment && binds === 1 && renames === 0 && runs === 0;
  }

  #message({ name }: Execution, maxRows: number): Uint8Array {
    return encodeExecute({ portal: name, maxRows }, this.#state.codec);
  }
}
