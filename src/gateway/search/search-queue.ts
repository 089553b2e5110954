/** Whose turn it is: one search at a time, and nobody takes all the places of those that wait. */
import { HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';

/** The one that is under way among them. */
const MAX_SEARCHES = 16;
/** Of one person: what is typed while the last one has not come back yet. */
const MAX_OF_ONE = 3;

interface Place {
  readonly who: string;
  readonly begin: () => void;
}

export class SearchQueue {
  /** The first one is under way. */
  readonly #places: Place[] = [];

  /**
   * @param who issuer and subject
   * @throws HOOP_LIMIT when too many wait; the signal's reason: the place is given up at once
   */
  async inTurn<T>(who: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    this.#check(who);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place: Place = { who, begin: resolve };
    this.#places.push(place);
    using _ = onAbort(signal, () => reject(signal.reason));
    if (this.#places.length === 1) {
      resolve();
    }
    try {
      await promise;
      return await work();
    } finally {
      const index = this.#places.indexOf(place);
      this.#places.splice(index, 1);
      if (index === 0) {
        this.#places[0]?.begin();
      }
    }
  }

  #check(who: string): void {
    const hint = 'Try again in a moment, or narrow the search by target, user or time.';
    const own = this.#places.filter((place) => place.who === who).length;
    if (own >= MAX_OF_ONE) {
      throw new HoopError('HOOP_LIMIT', `you have ${own} searches under way already`, { hint });
    }
    if (this.#places.length >= MAX_SEARCHES) {
      throw new HoopError('HOOP_LIMIT', 'too many searches wait for their turn', { hint });
    }
  }
}
