/**
 * Work that waits, by whom it is for: each owner has places of its own and gets a turn, however much
 * others want. Of one owner's the first comes first.
 */
export class OwnerTurns<T> {
  readonly #maxEach: number;
  readonly #waiting = new Map<object, T[]>();
  /** When each owner had its last turn. */
  readonly #turns = new WeakMap<object, number>();
  #turn = 0;

  /** @param maxEach of one owner may wait */
  constructor(maxEach: number) {
    this.#maxEach = maxEach;
  }

  /** Something waits. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** How much was taken so far. */
  get taken(): number {
    return this.#turn;
  }

  isFull(owner: object): boolean {
    return (this.#waiting.get(owner)?.length ?? 0) >= this.#maxEach;
  }

  /** Ask `isFull` before. */
  add(owner: object, work: T): void {
    const waiting = this.#waiting.get(owner);
    if (waiting === undefined) this.#waiting.set(owner, [work]);
    else waiting.push(work);
  }

  /** Of the owner who has waited longest for a turn. */
  take(): T | undefined {
    let [next, earliest]: [object | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
    for (const owner of this.#waiting.keys()) {
      const turn = this.#turns.get(owner) ?? 0;
      if (turn < earliest) [next, earliest] = [owner, turn];
    }
    if (next === undefined) return undefined;
    this.#turn += 1;
    this.#turns.set(next, this.#turn);
    const waiting = this.#waiting.get(next) ?? [];
    const work = waiting.shift();
    if (waiting.length === 0) this.#waiting.delete(next);
    return work;
  }

  /** @returns whether it was waiting */
  remove(owner: object, work: T): boolean {
    const waiting = this.#waiting.get(owner) ?? [];
    const at = waiting.indexOf(work);
    if (at < 0) return false;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.#waiting.delete(owner);
    return true;
  }

  /** All of it; nothing waits any more. */
  takeAll(): readonly T[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    return all;
  }
}
