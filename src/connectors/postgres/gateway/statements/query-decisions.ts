/**
 * From the text of a simple Query, or of one statement of it, to what may run: the verdict, the
 * approvals that it needs, and the lookups that it counts as.
 */

import { after } from '../../../../soon.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import { needsApproval } from '../approvals/approval-ask.ts';
import type { Holds } from '../approvals/holds.ts';
import { mustTellInTurns, tellAllowed, tellInTurns } from '../audit/statement-audit.ts';
import { lookupsOf } from '../counted/lookup-count.ts';
import { changedMeanwhile } from '../counted/lookup-texts.ts';
import type { Lookups } from '../counted/lookups.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { type Allowed, type Decided, type Decider, moves, refusedStatement } from './decide.ts';
import { HeldText } from './held-text.ts';
import { type StatementRange, statementsInTurn } from './statements-in-turn.ts';

const NO_TYPES: readonly number[] = [];
/** What changed while a text was recorded has it decided again; not for ever. */
const MAX_ROUNDS = 8;

/** Its statements can be decided only one after the other, each when those before it have run. */
export interface InTurn {
  readonly type: 'in turn';
  readonly statements: readonly StatementRange[];
}

interface Parts {
  readonly decider: Decider;
  readonly holds: Holds;
  readonly lookups: Lookups;
}

export class QueryDecisions {
  readonly #state: StreamState;
  readonly #parts: Parts;

  constructor(state: StreamState, parts: Parts) {
    this.#state = state;
    this.#parts = parts;
  }

  /** @param text of one statement, or of several, which are decided, held and counted as a whole. */
  decide(text: string, at: number): Decided | InTurn | Promise<Decided | InTurn> {
    const decided = this.#parts.decider.decide({ text, parameterTypes: NO_TYPES });
    return after(decided, (first): Decided | InTurn | Promise<Decided> => {
      const statements = statementsInTurn(first);
      if (statements !== undefined) return { type: 'in turn', statements };
      if (first.type !== 'allowed') return first;
      if (needsApproval(first)) return this.#approved(text, at, first);
      return mustTellInTurns(first.statements)
        ? this.#inTurns(text, at, first)
        : this.#withLookups(text, at, first);
    });
  }

  /** So many decisions are recorded with others between, and so before it is certain that they hold. */
  async #inTurns(text: string, at: number, first: Allowed): Promise<Decided> {
    const { options, ended } = this.#state;
    const { decider } = this.#parts;
    let decided = first;
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      const { statements } = decided;
      const numbers = await tellInTurns(options, at, statements, text, ended.signal);
      if (numbers === undefined || this.#state.skipping) return { type: 'skipped' };
      const told = { ...decided, numbers };
      const isCurrent = await decider.isCurrent(told, false);
      if (this.#state.skipping) return { type: 'skipped' };
      // It is counted, or sent, before anything else can happen.
      if (isCurrent) return this.#withLookups(text, at, told);
      const latest = await decider.decide({ text, parameterTypes: NO_TYPES });
      if (latest.type !== 'allowed') return latest;
      if (needsApproval(latest)) break;
      decided = latest;
    }
    const refusal = moves('what names stand for, or what this session may do,');
    return { type: 'refused', verdict: refusedStatement(refusal, decided.statements) };
  }

  /** The lookups of all its statements are counted as one, before any of them runs. */
  #withLookups(text: string, at: number, decided: Allowed): Decided | Promise<Decided> {
    const looksUp = decided.statements.some((one) => lookupsOf(one, true).length > 0);
    return looksUp ? this.#countLookups(text, at, decided) : decided;
  }

  async #countLookups(text: string, at: number, decided: Allowed): Promise<Decided> {
    const { statements } = decided;
    const candidates = this.#parts.lookups.candidates(statements, undefined, true);
    const refused = (refusal: SqlRefusal): Decided => ({
      type: 'refused',
      verdict: refusedStatement(refusal, statements),
    });
    const refusal = await this.#parts.lookups.spend({ at, candidates });
    if (this.#state.skipping) return { type: 'skipped' };
    if (refusal !== undefined) return refused(refusal);
    const isCurrent = await this.#parts.decider.isCurrent(decided, false);
    if (this.#state.skipping) return { type: 'skipped' };
    // It is sent before anything else can happen.
    if (isCurrent) return decided;
    if (decided.numbers !== undefined) return refused(changedMeanwhile());
    const latest = await this.#parts.decider.decide({ text, parameterTypes: NO_TYPES });
    if (latest.type !== 'allowed') return latest;
    const isSame =
      !needsApproval(latest) &&
      candidates === this.#parts.lookups.candidates(latest.statements, undefined, true);
    return isSame ? latest : refused(changedMeanwhile());
  }

  /** Several statements of one text are held as a whole, before any of them runs. */
  async #approved(text: string, at: number, first: Allowed): Promise<Decided> {
    const { decider, holds } = this.#parts;
    const { options, ended } = this.#state;
    const { statements } = first;
    const numbers = mustTellInTurns(statements)
      ? await tellInTurns(options, at, statements, text, ended.signal)
      : tellAllowed(options, at, statements, text);
    if (numbers === undefined || this.#state.skipping) return { type: 'skipped' };
    const held = new HeldText(decider, text, first);
    const outcome = await holds.pass({ at, text, isQuery: true, again: () => held.again() });
    const { latest } = held;
    switch (outcome.type) {
      case 'released':
        return latest.type === 'allowed'
          ? this.#withLookups(text, at, { ...latest, numbers, isApproved: true })
          : latest;
      case 'refused again':
        return latest;
      default:
        return outcome;
    }
  }
}
