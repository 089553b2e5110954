/**
 * From the text of a simple Query, or of one statement of it, to what may run: the verdict, the
 * approvals that it needs, and the lookups that it counts as.
 */
import type { SqlRefusal } from '../policy/types.ts';
import { type Allowed, needsApproval } from './approval-ask.ts';
import { type Decided, type Decider, refusedStatement } from './decide.ts';
import { HeldText } from './held-text.ts';
import type { Holds } from './holds.ts';
import { lookupsOf } from './lookup-count.ts';
import { changedMeanwhile } from './lookup-texts.ts';
import type { Lookups } from './lookups.ts';
import { tellAllowed } from './statement-audit.ts';
import { type StatementRange, statementsInTurn } from './statements-in-turn.ts';
import type { StreamState } from './stream-state.ts';

const NO_TYPES: readonly number[] = [];

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
  async decide(text: string, at: number): Promise<Decided | InTurn> {
    const decided = await this.#parts.decider.decide({ text, parameterTypes: NO_TYPES });
    const statements = statementsInTurn(decided);
    if (statements !== undefined) return { type: 'in turn', statements };
    const approved = await this.#approved(text, at, decided);
    return approved.type === 'allowed' ? this.#withLookups(text, at, approved) : approved;
  }

  /** The lookups of all its statements are counted as one, before any of them runs. */
  async #withLookups(text: string, at: number, decided: Allowed): Promise<Decided> {
    const { statements } = decided;
    if (!statements.some((statement) => lookupsOf(statement, true).length > 0)) return decided;
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
    if (decided.first !== undefined) return refused(changedMeanwhile());
    const latest = await this.#parts.decider.decide({ text, parameterTypes: NO_TYPES });
    if (latest.type !== 'allowed') return latest;
    const isSame =
      !needsApproval(latest) &&
      candidates === this.#parts.lookups.candidates(latest.statements, undefined, true);
    return isSame ? latest : refused(changedMeanwhile());
  }

  /** Several statements of one text are held as a whole, before any of them runs. */
  async #approved(text: string, at: number, first: Decided): Promise<Decided> {
    if (first.type !== 'allowed' || !needsApproval(first)) return first;
    const { decider, holds } = this.#parts;
    const number = tellAllowed(this.#state.options, at, first.statements, text);
    const held = new HeldText(decider, text, first);
    const outcome = await holds.pass({ at, text, isQuery: true, again: () => held.again() });
    const { latest } = held;
    switch (outcome.type) {
      case 'released':
        return latest.type === 'allowed' ? { ...latest, first: number } : latest;
      case 'refused again':
        return latest;
      default:
        return outcome;
    }
  }
}
