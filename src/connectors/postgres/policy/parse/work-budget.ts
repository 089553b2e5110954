/**
 * What the analysis of one text may cost where others wait for it. It is counted in steps, of some
 * microseconds each: a node of a tree that is visited, a few columns, a few names held against a
 * rule. Steps are the same on every machine, so that a test can count them.
 */

/** Thrown when a text costs more: it is judged elsewhere, from the beginning. */
export class OverBudget extends Error {}

export class WorkBudget {
  readonly #steps: number;
  #spent = 0;

  /** @param steps default: as many as it takes */
  constructor(steps = Number.POSITIVE_INFINITY) {
    this.#steps = steps;
  }

  get spent(): number {
    return this.#spent;
  }

  /** @throws OverBudget */
  spend(steps: number): void {
    this.#spent += steps;
    if (this.#spent > this.#steps) throw new OverBudget();
  }
}
