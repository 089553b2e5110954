/**
 * A statement that looks up values of masked columns is counted before it is sent, each time that it
 * runs. What is counted stays so, whatever becomes of the statement: one that fails behind its lookup
 * has found out what it asked.
 */

import type { DayReceipt } from '../../../../gateway/index/day-budget.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import type { Runnable } from '../approvals/approval-ask.ts';
import type { KnownPortal } from '../statements/known-statement.ts';
import { StreamEnded } from '../wire/stream-ended.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { candidatesOf, lookupsOf } from './lookup-count.ts';
import { notStored, uncounted, usedUp } from './lookup-texts.ts';

export interface LookupRequest {
  readonly at: number;
  /** Of Execute. */
  readonly statement?: number;
  /** undefined: they cannot be counted. */
  readonly candidates: number | undefined;
}

export class Lookups {
  readonly #state: StreamState;

  constructor(state: StreamState) {
    this.#state = state;
  }

  /** Values that a message looks up; undefined: it cannot be told. */
  candidates(
    statements: Runnable['statements'],
    bound: KnownPortal['bound'],
    isQuery: boolean,
  ): number | undefined {
    const { encoding, parserDoubt } = this.#state.settings;
    const lookups = statements.flatMap((statement) => lookupsOf(statement, isQuery));
    const isSafe = encoding.isSafe && parserDoubt === undefined;
    return candidatesOf(lookups, bound, { ...encoding, isSafe });
  }

  /**
   * @returns why it must not run; undefined: it is counted
   * @throws StreamEnded, RecordingFailed
   */
  async spend({ at, statement, candidates }: LookupRequest): Promise<SqlRefusal | undefined> {
    if (candidates === undefined) return uncounted();
    if (candidates === 0) return this.#counted(at);
    const { options, audit, ended } = this.#state;
    const { limits } = options.grant();
    const use = { amount: candidates, limit: limits.lookups };
    let receipt: DayReceipt;
    try {
      receipt = await options.lookups.spend(options.principal, options.target.name, use);
    } catch {
      // The budget has told the operator.
      return notStored();
    }
    if (ended.signal.aborted || options.signal.aborted) throw new StreamEnded('the session ended');
    if (receipt.type === 'exhausted') return usedUp(use, receipt);
    const { stream } = audit;
    audit.tell({ type: 'lookups', stream, at, statement, candidates, left: receipt.left });
    return this.#counted(at);
  }

  #counted(at: number): undefined {
    this.#state.lookupsCountedAt = at;
  }
}
