/**
 * What all connections together may collect of large messages: rows that are masked, statements.
 * Each may be as long as `limits.messageMiB`, and nothing bounds the number of connections. So the
 * memory for all of a message is taken before it is read; until there is some, nothing is read of
 * that connection, and who is sending waits.
 */
import { HoopError } from '../../../errors.ts';
import { OwnerTurns } from '../../../owner-turns.ts';

/** Messages of up to so many bytes are collected at once. */
export const COLLECTED_FREELY = 128 * 1024;
const HEADER_LENGTH = 5;
/** So many of the longest may be collected at a time. */
const LONGEST_AT_A_TIME = 4;
/** Whoever takes longer to send a message, or to read it, gives way to those who wait. */
const HELD_FREELY_MS = 60_000;
const LOOK_EVERY_MS = 5000;

interface Place {
  readonly owner: object;
  readonly bytes: number;
  readonly giveWay: (error: HoopError) => void;
  readonly granted: () => void;
  /** Since when the peer is waited for; Infinity: it is not. */
  since: number;
}

export class CollectedMessages {
  readonly #turns = new OwnerTurns<Place>(Number.POSITIVE_INFINITY);
  readonly #held = new Set<Place>();
  #left: number;
  /** It has its turn, and too little is left for it. */
  #next: Place | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param longest bytes of the body of the longest message that is collected */
  constructor(longest: number) {
    this.#left = (longest + HEADER_LENGTH) * LONGEST_AT_A_TIME;
  }

  /** For one direction of a connection. @param owner whose turn it is: a session */
  collector(owner: object, ended: AbortSignal, giveWay: (error: HoopError) => void): Collector {
    const reserve: Reserve = (bytes, granted) =>
      this.#reserve({ owner, bytes, giveWay, granted, since: 0 });
    return new Collector(reserve, ended);
  }

  #reserve(place: Place): Reserved {
    this.#turns.add(place.owner, place);
    this.#grant();
    return {
      isGranted: this.#held.has(place),
      release: () => this.#release(place),
      waits: (isWaiting) => {
        place.since = isWaiting ? performance.now() : Number.POSITIVE_INFINITY;
      },
    };
  }

  #release(place: Place): void {
    if (this.#held.delete(place)) this.#left += place.bytes;
    else if (this.#next === place) this.#next = undefined;
    else this.#turns.remove(place.owner, place);
    this.#grant();
  }

  #grant(): void {
    this.#next ??= this.#turns.take();
    while (this.#next !== undefined && this.#next.bytes <= this.#left) {
      const place = this.#next;
      this.#left -= place.bytes;
      place.since = performance.now();
      this.#held.add(place);
      place.granted();
      this.#next = this.#turns.take();
    }
    if (this.#next === undefined) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    }
  }

  /** The one that helps most gives way; it releases when it ends. */
  #look(): void {
    const latest = performance.now() - HELD_FREELY_MS;
    const slow = [...this.#held].filter(({ since }) => since <= latest);
    const [largest] = slow.sort((a, b) => b.bytes - a.bytes);
    largest?.giveWay(gaveWay(largest.bytes));
  }
}

interface Reserved {
  /** Else `granted` is called when it is. */
  readonly isGranted: boolean;
  readonly release: () => void;
  /** Whether the peer is waited for. */
  readonly waits: (isWaiting: boolean) => void;
}

type Reserve = (bytes: number, granted: () => void) => Reserved;

/** Of the message that one scanner is collecting. */
export class Collector {
  readonly #reserve: Reserve;
  readonly #ended: AbortSignal;
  #held: Pick<Reserved, 'release' | 'waits'> | undefined;

  constructor(reserve: Reserve, ended: AbortSignal) {
    this.#reserve = reserve;
    this.#ended = ended;
    ended.addEventListener('abort', () => this.done(), { once: true });
  }

  /**
   * @param bytes length of the message that is being collected; 0: none is
   * @returns what to wait for before more of it is read; then, too, when the stream has ended.
   */
  collects(bytes: number): Promise<void> | undefined {
    const isHeld = this.#held !== undefined;
    if (bytes <= COLLECTED_FREELY || isHeld || this.#ended.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { isGranted, release, waits } = this.#reserve(bytes, resolve);
    this.#held = {
      waits,
      release: () => {
        release();
        resolve();
      },
    };
    return isGranted ? undefined : promise;
  }

  /** There is memory to give back. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /** All of it has come: what is done with it now is no fault of the peer. */
  came(): void {
    this.#held?.waits(false);
  }

  /** What has become of it goes out. */
  goesOut(): void {
    this.#held?.waits(true);
  }

  /** It has been dealt with. */
  done(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.release();
  }
}

function gaveWay(bytes: number): HoopError {
  return new HoopError(
    'HOOP_LIMIT',
    `a message of ${bytes} bytes was not sent, or not read, within ${HELD_FREELY_MS / 1000} s, while others waited for its memory`,
    {
      detail: `The gateway collects ${LONGEST_AT_A_TIME} messages of the longest kind at a time (limits.messageMiB of the gateway).`,
      hint: 'Read large rows as they come, or leave large columns out of the statement.',
    },
  );
}
