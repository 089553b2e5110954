/**
 * The chain over one recording:
 *
 *     head = SHA256("hoop/rec/v2\0" ‖ segment header ‖ of each frame of the segment so far the header
 *            up to its checksum)
 *
 * A frame's header ends with the digest of what the frame holds (frame-digest.ts), and a segment's
 * holds the last head of the segment before, so the chain runs through all of them. All of it is in
 * the clear: the head can be computed without any key.
 *
 * It is one running hash, closed only where a head is asked for: a hash for each frame would cost
 * a short statement more than its leaf.
 */
import { createHash, type Hash } from 'node:crypto';
import { utf8 } from './encoding.ts';
import { CHAINED_HEADER_LENGTH } from './frame.ts';
import { HASH_LENGTH } from './merkle-tree.ts';

const CONTEXT = utf8('hoop/rec/v2\0');
/** Hashed at once. */
const WAITING_HEADERS = 64;

/** What the first segment of a recording follows. */
const NO_HEAD: Uint8Array = new Uint8Array(HASH_LENGTH);

/** Where an earlier writer of the same recording stopped. */
export interface ChainEnd {
  readonly head: Uint8Array;
  /** After its last frame. */
  readonly lastHead: Uint8Array;
}

export class HeadChain {
  readonly #waiting = Buffer.allocUnsafe(WAITING_HEADERS * CHAINED_HEADER_LENGTH);
  #waitingBytes = 0;
  #hash: Hash | undefined;
  #head: Uint8Array | undefined;
  /** While this segment has no frame; undefined in a recording that has none. */
  #before: Uint8Array | undefined;
  #hasFrames = false;

  /** @param after absent: a new recording */
  constructor(after?: ChainEnd) {
    this.#head = after?.head ?? NO_HEAD;
    this.#before = after?.lastHead;
  }

  /** What the header of the next segment names; 32 bytes. */
  get head(): Uint8Array {
    if (this.#head === undefined) {
      this.#update();
      this.#head = this.#hash?.copy().digest() ?? NO_HEAD;
    }
    return this.#head;
  }

  /** After the last frame, whatever segment has begun since; before any, of the first segment's header. */
  get lastHead(): Uint8Array {
    return this.#hasFrames ? this.head : (this.#before ?? this.head);
  }

  startSegment(header: Uint8Array): void {
    this.#before = this.#hasFrames ? this.head : this.#before;
    this.#hasFrames = false;
    this.#waitingBytes = 0;
    this.#hash = createHash('sha256').update(CONTEXT).update(header);
    this.#head = undefined;
  }

  /** @param frame begins with the frame's header */
  add(frame: Uint8Array): void {
    if (this.#waitingBytes === this.#waiting.length) {
      this.#update();
    }
    this.#waiting.set(frame.subarray(0, CHAINED_HEADER_LENGTH), this.#waitingBytes);
    this.#waitingBytes += CHAINED_HEADER_LENGTH;
    this.#hasFrames = true;
    this.#head = undefined;
  }

  #update(): void {
    this.#hash?.update(this.#waiting.subarray(0, this.#waitingBytes));
    this.#waitingBytes = 0;
  }
}
