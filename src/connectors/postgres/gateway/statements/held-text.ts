/** The text of a Query while it is held: decided anew whenever somebody asks whether it may still run. */
import { type Runnable, runnable } from '../approvals/approval-ask.ts';
import { policyChanged } from '../approvals/holds.ts';
import type { Decided, Decider } from './decide.ts';

export class HeldText {
  readonly text: string;
  readonly #decider: Decider;
  /** What was decided last. */
  latest: Decided;

  constructor(decider: Decider, text: string, first: Decided) {
    this.#decider = decider;
    this.text = text;
    this.latest = first;
  }

  async again(): Promise<Runnable | undefined> {
    const decided = await this.#decider.decide({ text: this.text, parameterTypes: [] });
    // A passthrough that has come since was not what the approval was given under.
    this.latest =
      decided.type === 'opaque' ? { type: 'refused', verdict: policyChanged() } : decided;
    return this.latest.type === 'allowed' ? runnable(this.latest) : undefined;
  }
}
