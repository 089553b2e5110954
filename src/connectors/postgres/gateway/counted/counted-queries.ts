/** Query with statements whose rows are counted: sends it as a pipeline, and asks who may approve. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { AllowedStatement, SqlRefusal } from '../../policy/facts/types.ts';
import { TextBytes } from '../../policy/parse/text-bytes.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { CountedRequest } from '../approvals/approval-ask.ts';
import type { Holds } from '../approvals/holds.ts';
import { deniedExecute, deniedQuery } from '../refusals/denial.ts';
import type { Refusals } from '../refusals/refusals.ts';
import { runEnded } from '../statements/confirmations.ts';
import {
  type Allowed,
  type Decided,
  type Decider,
  moves,
  refusedVerdict,
} from '../statements/decide.ts';
import { HeldText } from '../statements/held-text.ts';
import type { KnownStatement } from '../statements/known-statement.ts';
import { openBlock, sendStatement } from '../statements/send-statement.ts';
import { knownStatements } from '../statements/statement-text.ts';
import { mustStandApart } from '../statements/statements-in-turn.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { CountedQuery } from './counted-query.ts';
import { decideUncounted } from './row-budget.ts';
import { countSource, isLimited, mayBeHeld } from './row-counts.ts';
import { changedBeside, onlyAlone } from './row-refusals.ts';
import type { RowTrial } from './row-trial.ts';

/** Statements that are sent in one turn. */
const SENT_AT_ONCE = 100;
const WHAT_IT_MAY = 'what this session may do';

export interface QueryRequest {
  /** Byte offset of the message in the up stream. */
  readonly at: number;
  readonly text: string;
  readonly decided: Allowed;
  /** What needs approval however few rows it changes has been approved. */
  readonly isApproved: boolean;
  /** Sends it as it came. */
  readonly send: (decided: Allowed, isApproved: boolean) => void;
}

interface Parts {
  readonly decider: Decider;
  readonly refusals: Refusals;
  readonly holds: Holds;
}

export class CountedQueries {
  readonly #state: StreamState;
  readonly #parts: Parts;

  constructor(state: StreamState, parts: Parts) {
    this.#state = state;
    this.#parts = parts;
  }

  async query(request: QueryRequest): Promise<void> {
    const { decided, text, at } = request;
    const { queue } = this.#state;
    // After an error in a pipeline the server skips a Query, which a Sync of ours would not be.
    await this.#state.waitForTarget(() => queue.length === 0);
    if (this.#state.skipping) return;
    if (this.#isRevoked(request)) return this.#refuse(request, moves(WHAT_IT_MAY));
    // It was not so when it was approved as a whole.
    if (mustStandApart(decided.statements)) return this.#refuse(request, changedBeside());
    const known = knownStatements({ state: this.#state, decided, text, at, parameterTypes: [] });
    const [only] = known;
    if (known.length === 1 && only !== undefined) await this.#one(request, only);
    else await this.#several(request, known);
  }

  /** What was just revoked must not be let through because it was asked before. */
  #isRevoked({ decided }: QueryRequest): boolean {
    return this.#state.options.grant().generation !== decided.grantGeneration;
  }

  /** All of it or nothing, so what needs a decision of somebody else is asked for by itself only. */
  async #several(request: QueryRequest, known: readonly KnownStatement[]): Promise<void> {
    for (const { allowed, ...statement } of known) {
      if (allowed === undefined || !isLimited(allowed)) continue;
      const source = countSource({ ...statement, allowed });
      if (source.from !== 'nowhere') continue;
      const changes = { counted: 'not counted', why: source.why } as const;
      const decision = decideUncounted(allowed, changes, request.isApproved);
      if (decision.effect === 'allow') continue;
      const refusal = decision.effect === 'refuse' ? decision.refusal : onlyAlone(allowed, changes);
      return this.#refuse(request, refusal);
    }
    const query = new CountedQuery(this.#state, known.length);
    this.#state.trials.query = query;
    openBlock(this.#state);
    await this.#state.trials.ended(query, () => this.#send(query, request, known));
  }

  async #send(
    query: CountedQuery,
    request: QueryRequest,
    known: readonly KnownStatement[],
  ): Promise<void> {
    const bytes = new TextBytes(request.text);
    let [before, counted] = [0, 0];
    for (const [index, statement] of known.entries()) {
      if (index > 0 && index % SENT_AT_ONCE === 0) {
        await this.#state.toTarget.flush();
        await nextTurn();
      }
      // One of them has failed, and the Sync that ends all of it has been sent.
      if (!query.isOpen) break;
      if (this.#isRevoked(request)) return this.#refuse(request, moves(WHAT_IT_MAY));
      const start = statement.allowed?.analysis.start ?? counted;
      before += [...bytes.slice({ start: counted, end: start })].length;
      counted = start;
      const sent = { ...request, query, statement, sql: statement.text, before };
      sendStatement(this.#state, { ...sent, approval: 'none' });
    }
  }

  async #one(request: QueryRequest, first: KnownStatement): Promise<void> {
    const { trials } = this.#state;
    const number = first.number;
    let statement = first;
    let covered: RowChanges | undefined;
    let isShown = false;
    for (;;) {
      const { allowed } = statement;
      if (allowed === undefined) throw new TypeError('a statement of which nothing is known');
      const source = countSource(statement);
      if (source.from === 'nowhere') {
        await this.#uncounted(request, allowed, { counted: 'not counted', why: source.why });
        return;
      }
      const isAlone = !this.#state.segmentIsOpen;
      const query = new CountedQuery(this.#state, 1);
      trials.query = query;
      const approval = { covered };
      const sent = { ...request, sql: request.text, query, statement, approval, isShown };
      const trial = sendStatement(this.#state, sent);
      isShown = true;
      if (await trials.readsCopy(() => this.#decide(request, query, trial))) return;
      if (mayBeHeld(allowed)) await trials.settled();
      const changes = trial?.exceeded;
      if (trial === undefined || changes === undefined) return trials.ended(query);
      // Known only now: a BEGIN right before it had not been answered.
      const canLeave = isAlone && this.#state.settings.transaction === 'idle';
      if (!canLeave) return this.#decide(request, query, trial);
      // So that nobody waits for its locks while people are asked.
      query.gone();
      await trials.rollBack(trial);
      const released = await this.#released(request, { changes, transaction: 'left' });
      if (released === undefined) return;
      covered = released.covers;
      const { text, at } = request;
      const decided = { ...released.decided, numbers: [number] };
      const [again] = knownStatements({
        state: this.#state,
        decided,
        text,
        at,
        parameterTypes: [],
      });
      if (again === undefined) return;
      statement = again;
    }
  }

  /** What cannot be counted is not tried in order to find out. */
  async #uncounted(
    request: QueryRequest,
    allowed: AllowedStatement,
    changes: RowChanges,
  ): Promise<void> {
    const decision = decideUncounted(allowed, changes, request.isApproved);
    if (decision.effect === 'allow') return request.send(request.decided, request.isApproved);
    if (decision.effect === 'refuse') return this.#refuse(request, decision.refusal);
    const released = await this.#released(request, { changes, transaction: 'not run' });
    if (released !== undefined) request.send(released.decided, true);
  }

  /** In a transaction that does other things too, or with data that cannot be sent again. */
  async #decide(
    request: QueryRequest,
    query: CountedQuery,
    trial: RowTrial | undefined,
  ): Promise<void> {
    const { trials, toClient } = this.#state;
    await trials.settled();
    const changes = trial?.exceeded;
    if (trial !== undefined && changes !== undefined) {
      const released = await this.#released(request, { changes, transaction: 'open' });
      if (released === undefined) {
        trials.decided(trial);
        runEnded(this.#state, trial.run, { sqlState: SQL_STATE.transactionRollback });
      } else {
        const answer = await trials.released(trial, 0);
        if (answer !== undefined) toClient.push(answer);
      }
    }
    await trials.ended(query);
  }

  /** @returns undefined: it was refused, and the client knows. */
  async #released(
    request: QueryRequest,
    counted: CountedRequest,
  ): Promise<{ readonly decided: Allowed; readonly covers: RowChanges | undefined } | undefined> {
    const { at, text } = request;
    const { decider, holds } = this.#parts;
    const held = new HeldText(decider, text, request.decided);
    const again = () => held.again();
    const outcome = await holds.pass({ at, text, isQuery: true, counted, again });
    const { latest } = held;
    const end = outcome.type === 'refused again' ? latest : outcome;
    switch (end.type) {
      case 'released':
        return latest.type === 'allowed' ? { decided: latest, covers: end.covers } : undefined;
      case 'refused':
      case 'cancelled':
      case 'aborted':
        this.#deny(request, end);
        return undefined;
      default:
        return undefined;
    }
  }

  #refuse(request: QueryRequest, refusal: SqlRefusal): void {
    this.#deny(request, { type: 'refused', verdict: refusedVerdict(refusal) });
  }

  /** In its place, or behind what has run: then that is rolled back with it. */
  #deny(
    { at, text }: QueryRequest,
    decided: Decided & { type: 'refused' | 'cancelled' | 'aborted' },
  ): void {
    const state = this.#state;
    const denial = this.#parts.refusals.denial(at, decided, text);
    const base = { origin: 'client', segment: state.segment, denial } as const;
    if (state.trials.query === undefined) {
      state.send(deniedQuery(denial), {
        ...base,
        kind: 'query',
        runs: [],
        current: 0,
        failed: false,
      });
      return;
    }
    state.send(deniedExecute(denial), { ...base, kind: 'execute', run: undefined });
    state.skipping = true;
  }
}
