import { ProtocolError } from '../../../errors.ts';
import { CHANNEL_WINDOW_BYTES } from './frame.ts';

/** Taken before it is given back: such a part of the window. */
const GIVE_PART = 4;
/** RFC 4254 §5.2: a window may not grow beyond this. */
const MAX_CREDIT = 0xffffffff;

/**
 * Credit of one channel at one end, for both directions: what this end may still send, and what
 * the other end may. Data and stderr count alike; nothing else does.
 */
export class ChannelCredit {
  #toSend: number;
  #toReceive: number;
  /** Taken by whoever reads here, and not given back yet. */
  #owed = 0;
  readonly #window: number;

  /**
   * @param toSend the window that the other end gave in `open` or `opened`
   * @param window what this end gave there
   */
  constructor(toSend: number, window = CHANNEL_WINDOW_BYTES) {
    this.#toSend = toSend;
    this.#toReceive = window;
    this.#window = window;
  }

  /** Bytes that may be sent now. */
  get toSend(): number {
    return this.#toSend;
  }

  /** Bytes of data have been sent. */
  sent(bytes: number): void {
    if (bytes > this.#toSend) {
      throw new RangeError(`${bytes} bytes are more than the credit of ${this.#toSend}`);
    }
    this.#toSend -= bytes;
  }

  /**
   * The other end gives more.
   * @throws ProtocolError beyond 2³² - 1
   */
  granted(bytes: number): void {
    if (this.#toSend + bytes > MAX_CREDIT) {
      throw new ProtocolError('the credit of a channel grows beyond 4 GiB');
    }
    this.#toSend += bytes;
  }

  /**
   * Bytes of data have come.
   * @throws ProtocolError for more than was given
   */
  received(bytes: number): void {
    if (bytes > this.#toReceive) {
      throw new ProtocolError(
        `a channel got ${bytes - this.#toReceive} bytes more than it had credit for`,
      );
    }
    this.#toReceive -= bytes;
  }

  /**
   * Bytes that came have gone on.
   * @returns what is to be given to the other end in a window frame now; 0: nothing yet
   */
  consumed(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed * GIVE_PART < this.#window) {
      return 0;
    }
    const give = this.#owed;
    this.#owed = 0;
    this.#toReceive += give;
    return give;
  }
}
