/**
 * Frames one direction of a connection: chunks in, whole messages and runs of bytes out.
 *
 * The owner decides at each header whether it wants the message whole or only wants its bytes to
 * pass. Messages that pass are never buffered, whatever their length, and neighbours in one chunk
 * become one view, so a row that needs no change costs the reading of its five header bytes.
 *
 * It is pulled, not pushed: `feed` one chunk, then call `next` until it gives undefined. So the
 * owner can wait (for a verdict, for backpressure) between two messages of the same chunk, and
 * `decide` sees the state that the previous message left behind.
 */
import { HoopError, ProtocolError } from '../../../errors.ts';
import { MAX_MESSAGE_LENGTH } from './limits.ts';

/** `run`: the owner reads it where it lies, with what follows it in the chunk. */
export type Handling = 'whole' | 'pass' | 'run';

export interface MessageScannerOptions {
  /**
   * Called once per message when its header is complete. May throw to end the connection.
   * @param bodyLength bytes after type and length.
   */
  readonly decide: (type: number, bodyLength: number) => Handling;
  /** Longest body, in bytes, that is buffered for 'whole'; longer ones are refused. */
  readonly maxWholeLength: number;
  /**
   * For 'run', when all of the message has come; what was given out before has been dealt with.
   * @param bytes the message and the rest of the chunk. They belong to whoever owns the chunk.
   * @returns the length of the messages that are done with; 0: the first one comes as 'whole'.
   */
  readonly run?: (bytes: Uint8Array) => number;
}

/**
 * `bytes` of a run are a view of the chunk that was fed: they belong to whoever owns the chunk.
 * A whole message is such a view as well, or, if it came in parts, a buffer of its own.
 */
export type ScannedItem =
  | { readonly kind: 'pass'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'message';
      readonly type: number;
      readonly body: Uint8Array;
      /** The message as it came: type, length and body. */
      readonly bytes: Uint8Array;
    };

const HEADER_LENGTH = 5;
/** First allocation for a message in parts; it grows with what arrives, not with what is promised. */
const FIRST_BUFFER_LENGTH = 16 * 1024;
const EMPTY: Uint8Array = new Uint8Array(0);

export class MessageScanner {
  readonly #options: MessageScannerOptions;
  #chunk = EMPTY;
  #at = 0;
  /** Header of a message that began in an earlier chunk and is still incomplete. */
  readonly #header = new Uint8Array(HEADER_LENGTH);
  #headerLength = 0;
  /** Bytes of a passing message that are still to come. */
  #passLeft = 0;
  /** A whole message that is still incomplete: its full length, and what is there of it. */
  #wholeLength = 0;
  #whole = EMPTY;
  #wholeFilled = 0;
  /** The decision of the header that ended a run; kept so that `decide` is called once a message. */
  #pending: Handling | undefined;

  constructor(options: MessageScannerOptions) {
    this.#options = options;
  }

  /** Whether everything that was fed has been given out and no message is incomplete. */
  get atBoundary(): boolean {
    return (
      this.#at === this.#chunk.length &&
      this.#headerLength === 0 &&
      this.#passLeft === 0 &&
      this.#wholeLength === 0
    );
  }

  /** Length of the whole message of which the beginning has come, type and length included; else 0. */
  get collecting(): number {
    return this.#wholeLength;
  }

  /** The chunk must not change until `next` has given undefined. */
  feed(chunk: Uint8Array): void {
    if (this.#at !== this.#chunk.length) {
      throw new TypeError('the previous chunk has not been read to its end');
    }
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** @throws ProtocolError on a bad length, HoopError HOOP_TOO_LARGE above `maxWholeLength`. */
  next(): ScannedItem | undefined {
    if (this.#wholeLength > 0) {
      return this.#continueWhole();
    }
    if (this.#headerLength > 0) {
      return this.#continueHeader();
    }
    return this.#scan();
  }

  push(chunk: Uint8Array, onItem: (item: ScannedItem) => void): void {
    this.feed(chunk);
    for (let item = this.next(); item !== undefined; item = this.next()) {
      onItem(item);
    }
  }

  /** At a message boundary or inside a passing message, with what is left of the chunk. */
  #scan(): ScannedItem | undefined {
    const chunk = this.#chunk;
    let start = this.#at;
    let at = start;
    if (this.#passLeft > 0) {
      const taken = Math.min(this.#passLeft, chunk.length - at);
      this.#passLeft -= taken;
      at += taken;
    }
    while (chunk.length - at >= HEADER_LENGTH) {
      const length = readLength(chunk, at + 1);
      const end = at + 1 + length;
      const handling = this.#decide(chunk[at] ?? 0, length);
      if (handling !== 'pass') {
        const before = this.#endRun(start, at, handling);
        if (before !== undefined) return before;
        const taken = handling === 'run' && end <= chunk.length ? this.#run(chunk.subarray(at)) : 0;
        if (taken === 0) return this.#startWhole(at, end);
        at += taken;
        start = at;
        continue;
      }
      if (end > chunk.length) {
        this.#passLeft = end - chunk.length;
        at = chunk.length;
        break;
      }
      at = end;
    }
    // A header that is cut off waits for the next chunk; the run before it goes now.
    const cut = at < chunk.length && this.#passLeft === 0;
    if (cut) {
      this.#header.set(chunk.subarray(at));
      this.#headerLength = chunk.length - at;
    }
    this.#at = chunk.length;
    return at > start ? { kind: 'pass', bytes: chunk.subarray(start, at) } : undefined;
  }

  #decide(type: number, length: number): Handling {
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      return pending;
    }
    const bodyLength = length - 4;
    const handling = this.#options.decide(type, bodyLength);
    if (handling !== 'pass' && bodyLength > this.#options.maxWholeLength) {
      throw new HoopError('HOOP_TOO_LARGE', `message of ${bodyLength} bytes is too large`, {
        detail: `Messages of this type may have ${this.#options.maxWholeLength} bytes here.`,
      });
    }
    return handling;
  }

  #run(bytes: Uint8Array): number {
    return this.#options.run?.(bytes) ?? 0;
  }

  #endRun(start: number, at: number, handling: Handling): ScannedItem | undefined {
    if (at === start) {
      return undefined;
    }
    this.#pending = handling;
    this.#at = at;
    return { kind: 'pass', bytes: this.#chunk.subarray(start, at) };
  }

  #startWhole(at: number, end: number): ScannedItem | undefined {
    const chunk = this.#chunk;
    if (end <= chunk.length) {
      this.#at = end;
      return message(chunk.subarray(at, end));
    }
    const there = chunk.subarray(at);
    this.#openWhole(end - at, there);
    this.#at = chunk.length;
    return undefined;
  }

  #openWhole(length: number, there: Uint8Array): void {
    this.#wholeLength = length;
    this.#whole = new Uint8Array(Math.min(length, Math.max(FIRST_BUFFER_LENGTH, there.length)));
    this.#whole.set(there);
    this.#wholeFilled = there.length;
  }

  #continueWhole(): ScannedItem | undefined {
    const taken = Math.min(this.#wholeLength - this.#wholeFilled, this.#chunk.length - this.#at);
    const filled = this.#wholeFilled + taken;
    if (filled > this.#whole.length) {
      const grown = new Uint8Array(
        Math.min(this.#wholeLength, Math.max(filled, this.#whole.length * 2)),
      );
      grown.set(this.#whole.subarray(0, this.#wholeFilled));
      this.#whole = grown;
    }
    this.#whole.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#wholeFilled);
    this.#wholeFilled = filled;
    this.#at += taken;
    if (filled < this.#wholeLength) {
      return undefined;
    }
    const bytes = this.#whole;
    this.#wholeLength = 0;
    this.#whole = EMPTY;
    return message(bytes);
  }

  #continueHeader(): ScannedItem | undefined {
    const taken = Math.min(HEADER_LENGTH - this.#headerLength, this.#chunk.length - this.#at);
    this.#header.set(this.#chunk.subarray(this.#at, this.#at + taken), this.#headerLength);
    this.#headerLength += taken;
    this.#at += taken;
    if (this.#headerLength < HEADER_LENGTH) {
      return undefined;
    }
    const length = readLength(this.#header, 1);
    this.#headerLength = 0;
    const handling = this.#decide(this.#header[0] ?? 0, length);
    const header = this.#header.slice();
    if (handling !== 'pass') {
      this.#openWhole(1 + length, header);
      return this.#continueWhole();
    }
    this.#passLeft = length - 4;
    return { kind: 'pass', bytes: header };
  }
}

/** Without DataView: chunks are views already, and a second object for each would be garbage. */
function readLength(bytes: Uint8Array, at: number): number {
  const length =
    (bytes[at] ?? 0) * 0x1000000 +
    (((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
  if (length < 4 || length > MAX_MESSAGE_LENGTH) {
    throw new ProtocolError(`message length ${length} is out of range`);
  }
  return length;
}

function message(bytes: Uint8Array): ScannedItem {
  const body = bytes.length === HEADER_LENGTH ? EMPTY : bytes.subarray(HEADER_LENGTH);
  return { kind: 'message', type: bytes[0] ?? 0, body, bytes };
}
