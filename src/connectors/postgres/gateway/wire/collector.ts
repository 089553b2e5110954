/** What one direction of a connection has taken of the memory for large messages, and since when. */

/** Messages of up to so many bytes are collected at once. */
export const COLLECTED_FREELY = 128 * 1024;
/** Whoever sends a message, or reads it, has so long, and as long again as what has moved may take. */
const PEER_MS = 60_000;
const SLOWEST_BYTES_PER_MS = 128;
/**
 * What is done with a statement is no fault of its client: it is judged, waits for an approval, is the
 * text of a long migration. It is bounded all the same.
 */
const HANDLED_MS = 1_800_000;

export type Reserve = (
  bytes: number,
  isSlow: () => boolean,
  granted: () => void,
) => {
  /** Else `granted` is called when it is. */
  readonly isGranted: boolean;
  readonly release: () => void;
};

/** Of the message that one scanner is collecting. */
export class Collector {
  readonly #reserve: Reserve;
  readonly #ended: AbortSignal;
  #release: (() => void) | undefined;
  readonly #clock = new Clock();

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
    if (bytes <= COLLECTED_FREELY || this.isHolding || this.#ended.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    const start = (): void => this.#clock.start(PEER_MS);
    const { isGranted, release } = this.#reserve(
      bytes,
      () => this.#clock.isOver,
      () => {
        start();
        resolve();
      },
    );
    this.#release = () => {
      release();
      resolve();
    };
    return isGranted ? undefined : promise;
  }

  /** There is memory to give back. */
  get isHolding(): boolean {
    return this.#release !== undefined;
  }

  /** So much of it has come, or has gone out. */
  moved(bytes: number): void {
    this.#clock.extend(bytes / SLOWEST_BYTES_PER_MS);
  }

  /** All of the row has come: what is done with it is no fault of the peer, and takes its time. */
  came(): void {
    this.#clock.start(Number.POSITIVE_INFINITY);
  }

  /** All of the statement has come. @param unreadSince when its client has left off reading answers */
  handled(unreadSince: () => number | undefined): void {
    this.#clock.start(HANDLED_MS, () => {
      const since = unreadSince();
      return since !== undefined && performance.now() - since >= PEER_MS;
    });
  }

  /** What has become of it goes out. */
  goesOut(): void {
    this.#clock.start(PEER_MS);
  }

  /** It has been dealt with. */
  done(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

class Clock {
  #until = Number.POSITIVE_INFINITY;
  #isOverAlready: (() => boolean) | undefined;

  start(ms: number, isOverAlready?: () => boolean): void {
    this.#until = performance.now() + ms;
    this.#isOverAlready = isOverAlready;
  }

  extend(ms: number): void {
    this.#until += ms;
  }

  get isOver(): boolean {
    return performance.now() >= this.#until || this.#isOverAlready?.() === true;
  }
}
