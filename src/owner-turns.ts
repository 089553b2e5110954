/**
 * Work that waits, by whom it is for: each owner has places of its own and gets a turn, however much
 * others want. Of one owner's the first comes first. Owners of one user, sessions mostly, have one
 * turn among other users: else whoever opens a hundred sessions would have a hundred.
 */

export interface Owner {
  readonly user: string;
}

/** An owner for somebody who has logged in; each call makes another one. */
export function ownerOf({ issuer, sub }: { readonly issuer: string; readonly sub: string }): Owner {
  return { user: JSON.stringify([issuer, sub]) };
}

/** What stands for the user of an owner; itself, where it names none. */
export function userOf(owner: object): unknown {
  return 'user' in owner ? owner.user : owner;
}

export class OwnerTurns<T> {
  readonly #maxEach: number;
  readonly #waiting = new Map<object, T[]>();
  /** When each owner had its last turn, and each user who has a name; of these there are not many. */
  readonly #turns = new WeakMap<object, number>();
  readonly #userTurns = new Map<unknown, number>();
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

  /**
   * Of the user who has waited longest for a turn.
   * @param mayBe whether what is next of a user may be taken; default: it may.
   */
  take(mayBe: (work: T) => boolean = () => true): T | undefined {
    let [next, earliest]: [object | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
    for (const [user, owner] of this.#heads()) {
      const turn = this.#turnOf(user);
      if (turn < earliest && this.#first(owner).every(mayBe)) [next, earliest] = [owner, turn];
    }
    if (next === undefined) return undefined;
    this.#turn += 1;
    this.#turns.set(next, this.#turn);
    const user = userOf(next);
    if (user !== next) this.#userTurns.set(user, this.#turn);
    const waiting = this.#waiting.get(next) ?? [];
    const work = waiting.shift();
    if (waiting.length === 0) this.#waiting.delete(next);
    return work;
  }

  /** What is next of each user. */
  next(): readonly T[] {
    return [...this.#heads().values()].flatMap((owner) => this.#first(owner));
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

  /** Of each user the owner who has waited longest. */
  #heads(): ReadonlyMap<unknown, object> {
    const heads = new Map<unknown, object>();
    for (const owner of this.#waiting.keys()) {
      const user = userOf(owner);
      const head = heads.get(user);
      const isEarlier = head === undefined || this.#ownTurn(owner) < this.#ownTurn(head);
      if (isEarlier) heads.set(user, owner);
    }
    return heads;
  }

  #first(owner: object): readonly T[] {
    return this.#waiting.get(owner)?.slice(0, 1) ?? [];
  }

  #ownTurn(owner: object): number {
    return this.#turns.get(owner) ?? 0;
  }

  #turnOf(user: unknown): number {
    return typeof user === 'object' && user !== null
      ? this.#ownTurn(user)
      : (this.#userTurns.get(user) ?? 0);
  }
}
