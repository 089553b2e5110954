/**
 * What all connections together may collect of large messages: rows that are masked, statements.
 * Each may be as long as `limits.messageMiB`, and nothing bounds the number of connections. So the
 * memory for all of a message is taken before it is read; until there is some, nothing is read of
 * that connection, and who is sending waits. No user has more than half of it.
 */
import { HoopError } from '../../../../errors.ts';
import { OwnerTurns, userOf } from '../../../../owner-turns.ts';
import { Collector } from './collector.ts';

const HEADER_LENGTH = 5;
/** So many of the longest may be collected at a time. */
const LONGEST_AT_A_TIME = 4;
/** Of these those of one user. */
const LONGEST_OF_ONE_USER = 2;
const LOOK_EVERY_MS = 5000;

interface Place {
  readonly owner: object;
  readonly bytes: number;
  readonly isSlow: () => boolean;
  readonly giveWay: (error: HoopError) => void;
  readonly granted: () => void;
}

export class CollectedMessages {
  readonly #turns = new OwnerTurns<Place>(Number.POSITIVE_INFINITY);
  readonly #held = new Set<Place>();
  /** Bytes that each user holds. */
  readonly #heldBy = new Map<unknown, number>();
  readonly #maxOfUser: number;
  #left: number;
  /** It has its turn, and too little is left for it. */
  #next: Place | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param longest bytes of the body of the longest message that is collected */
  constructor(longest: number) {
    this.#left = (longest + HEADER_LENGTH) * LONGEST_AT_A_TIME;
    this.#maxOfUser = (longest + HEADER_LENGTH) * LONGEST_OF_ONE_USER;
  }

  /** For one direction of a connection. @param owner whose turn it is: a session */
  collector(owner: object, ended: AbortSignal, giveWay: (error: HoopError) => void): Collector {
    const reserve = (bytes: number, isSlow: () => boolean, granted: () => void) => {
      const place: Place = { owner, bytes, isSlow, giveWay, granted };
      this.#turns.add(owner, place);
      this.#grant();
      return { isGranted: this.#held.has(place), release: () => this.#release(place) };
    };
    return new Collector(reserve, ended);
  }

  #release(place: Place): void {
    if (this.#held.has(place)) this.#give(place);
    else if (this.#next === place) this.#next = undefined;
    else this.#turns.remove(place.owner, place);
    this.#grant();
  }

  #grant(): void {
    for (;;) {
      this.#next ??= this.#turns.take((place) => place.bytes <= this.#leftFor(place));
      if (this.#next === undefined || this.#next.bytes > this.#left) break;
      const place = this.#next;
      this.#next = undefined;
      this.#hold(place);
      place.granted();
    }
    if (this.#next === undefined && !this.#turns.isWaiting) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    }
  }

  #hold(place: Place): void {
    this.#held.add(place);
    this.#left -= place.bytes;
    const user = userOf(place.owner);
    this.#heldBy.set(user, (this.#heldBy.get(user) ?? 0) + place.bytes);
  }

  #give(place: Place): void {
    this.#held.delete(place);
    this.#left += place.bytes;
    const user = userOf(place.owner);
    const left = (this.#heldBy.get(user) ?? 0) - place.bytes;
    if (left > 0) this.#heldBy.set(user, left);
    else this.#heldBy.delete(user);
  }

  #leftFor({ owner }: Place): number {
    return this.#maxOfUser - (this.#heldBy.get(userOf(owner)) ?? 0);
  }

  /** Of those who are slow one gives way, the largest, where that helps; it releases when it ends. */
  #look(): void {
    const slow = [...this.#held]
      .filter((place) => place.isSlow())
      .sort((a, b) => b.bytes - a.bytes);
    for (const place of this.#next === undefined ? this.#turns.next() : [this.#next]) {
      const user = userOf(place.owner);
      const theirs = this.#next ? slow : slow.filter(({ owner }) => userOf(owner) === user);
      const missing = place.bytes - Math.min(this.#left, this.#leftFor(place));
      if (theirs.reduce((sum, { bytes }) => sum + bytes, 0) >= missing) {
        const [largest] = theirs;
        largest?.giveWay(gaveWay(largest.bytes));
        return;
      }
    }
  }
}

function gaveWay(bytes: number): HoopError {
  return new HoopError(
    'HOOP_LIMIT',
    `a message of ${bytes} bytes was sent, or read, too slowly while others waited for its memory`,
    {
      detail: `The gateway collects ${LONGEST_AT_A_TIME} messages of maximum size at a time, ${LONGEST_OF_ONE_USER} of them for one user (limits.messageMiB of the gateway). A client that moves 128 KiB per second keeps its memory.`,
      hint: 'Read large rows as they arrive, or omit large columns from the statement.',
    },
  );
}
