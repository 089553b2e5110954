import { EventEmitter } from 'node:events';
import { ProtocolError } from '../errors.ts';
import { encodeEnd, encodeHalfClose, encodeWindow } from '../protocol/carrier/frames.ts';
import { type CarrierEvents, END_CODE, type StreamCarrier } from './stream-carrier.ts';

/** How much of one direction of a stream may be on the way, or wait here for who does not read. */
export const WINDOW_BYTES = 2 * 1024 * 1024;
/** So much has been read before the peer is told of it. */
const GRANT_BYTES = WINDOW_BYTES / 4;
/** Streams take turns by pieces of at most this. */
const PIECE_BYTES = 256 * 1024;
/** A window that only a hostile peer opens further. */
const MAX_WINDOW_BYTES = 2 ** 32;

/** What a stream needs of its connection. */
export interface StreamLink {
  readonly isOpen: boolean;
  /** Data may be given to it. */
  readonly hasRoom: boolean;
  /** Bytes of all streams that were given to it and are not in the kernel yet. */
  readonly unsentBytes: number;
  /** @param length of all parts, 1 byte or more. @param done as in `StreamCarrier.send` */
  data(stream: number, parts: readonly Uint8Array[], length: number, done: Done | undefined): void;
  frame(bytes: Uint8Array): void;
  /** Calls `sendOne` when there is room again. */
  whenRoom(stream: MultiplexedStream): void;
  /** Both sides have ended it. */
  forget(stream: number): void;
}

type Done = (error: Error | undefined) => void;

interface UnsentData {
  parts: readonly Uint8Array[];
  length: number;
  readonly done: Done | undefined;
}

/** Goes behind the data before it, and needs no window. */
interface UnsentFrame {
  readonly frame: Uint8Array;
  readonly isEnd: boolean;
}

type Unread = Buffer | 'half-close' | { readonly endCode: number };

/** Pieces up to this are copied together while they wait; larger ones are kept as they are. */
const LARGEST_COPY = 8 * 1024;
const COPIES_BYTES = 32 * 1024;

/** One of several streams on a connection: `StreamConnection` has the connection. */
export class MultiplexedStream extends EventEmitter<CarrierEvents> implements StreamCarrier {
  readonly #stream: number;
  readonly #link: StreamLink;
  readonly #endWithinMs: number;
  /** For which there was no window or no room. */
  readonly #unsent: (UnsentData | UnsentFrame)[] = [];
  #unsentBytes = 0;
  /** What the peer takes still. */
  #window = WINDOW_BYTES;
  /** What came while paused. */
  #unread: Unread[] = [];
  /** Room for small pieces, of which the last of `#unread` has the first bytes. */
  #copies: Buffer | undefined;
  #hasHalfClosed = false;
  /** Bytes that came for which the peer has not been given new ones; of them delivered. */
  #received = 0;
  #delivered = 0;
  #isDelivering = false;
  #isPaused: boolean;
  /** Nothing more is taken from here; the end itself may still be among the unsent. */
  #hasEnded = false;
  #hasSentEnd = false;
  #peerHasEnded = false;
  /** What comes is of no interest to anybody. */
  #isCutOff = false;
  #isClosed = false;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(options: {
    readonly stream: number;
    readonly link: StreamLink;
    /** How long the peer may take to answer an end. */
    readonly endWithinMs: number;
    /** What comes waits for the first `resume`. */
    readonly paused: boolean;
  }) {
    super();
    this.#stream = options.stream;
    this.#link = options.link;
    this.#endWithinMs = options.endWithinMs;
    this.#isPaused = options.paused;
  }

  get isOpen(): boolean {
    return !this.#hasEnded && !this.#isClosed && this.#link.isOpen;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get unsentBytes(): number {
    return this.#unsentBytes + this.#link.unsentBytes;
  }

  send(parts: readonly Uint8Array[], done?: Done): void {
    if (!this.isOpen) {
      done?.(new Error('the stream is closed'));
      return;
    }
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length === 0) {
      done?.(undefined);
    } else if (this.#goesAtOnce(length)) {
      this.#window -= length;
      this.#link.data(this.#stream, parts, length, done);
    } else {
      this.#unsentBytes += length;
      this.#unsent.push({ parts, length, done });
      this.#sendOn();
    }
  }

  halfClose(): void {
    if (this.isOpen) {
      this.#sendBehind({ frame: encodeHalfClose(this.#stream), isEnd: false });
    }
  }

  end(code: number): void {
    if (this.isOpen) {
      this.#end(code);
    }
  }

  terminate(): void {
    this.#cutOff();
    if (!this.#isClosed) {
      // As a socket does it: not before who called this has returned.
      process.nextTick(() => this.#close(END_CODE.broken));
    }
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isDelivering) {
      return;
    }
    this.#isDelivering = true;
    try {
      while (!this.#isPaused) {
        const next = this.#unread.shift();
        if (next === undefined) {
          this.#copies = undefined;
          return;
        }
        this.#deliver(next);
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  /** For the connection: bytes came. @throws ProtocolError for more than the peer may send */
  received(bytes: Buffer): void {
    this.#received += bytes.length;
    if (this.#received > WINDOW_BYTES || this.#peerHasEnded) {
      throw new ProtocolError('the peer sent more on a stream than it may');
    }
    this.#take(bytes);
  }

  /** @throws ProtocolError */
  receivedHalfClose(): void {
    if (this.#peerHasEnded) {
      throw new ProtocolError('a half-close after the end of a stream');
    }
    if (!this.#hasHalfClosed) {
      this.#hasHalfClosed = true;
      this.#take('half-close');
    }
  }

  /** @throws ProtocolError */
  receivedEnd(code: number): void {
    if (this.#peerHasEnded) {
      throw new ProtocolError('a stream was ended twice');
    }
    this.#peerHasEnded = true;
    if (code === END_CODE.broken) {
      // Cut off, by whoever cannot wait: nor does this end for somebody who does not read.
      this.#cutOff();
      this.#close(code);
    } else {
      this.#take({ endCode: code });
      this.#forgetWhenOver();
    }
  }

  receivedWindow(more: number): void {
    this.#window = Math.min(MAX_WINDOW_BYTES, this.#window + more);
    this.#sendOn();
  }

  /** The connection has ended. */
  lost(code: number): void {
    this.#hasSentEnd = true;
    this.#peerHasEnded = true;
    this.#cutOff();
    this.#close(code);
  }

  /** One piece of what waits; asks for its next turn when there is more. */
  sendOne(): void {
    const next = this.#unsent[0];
    if (next === undefined) {
      return;
    }
    if ('frame' in next) {
      this.#unsent.shift();
      this.#sendFrame(next);
    } else if (this.#window > 0) {
      this.#sendPiece(next, Math.min(this.#window, PIECE_BYTES, next.length));
    }
    if (this.#canSend) {
      this.#link.whenRoom(this);
    }
  }

  /** The usual case, in which nothing is kept. */
  #goesAtOnce(length: number): boolean {
    return (
      this.#unsent.length === 0 &&
      length <= this.#window &&
      length <= PIECE_BYTES &&
      this.#link.hasRoom
    );
  }

  get #canSend(): boolean {
    const [next] = this.#unsent;
    return next !== undefined && ('frame' in next || this.#window > 0);
  }

  #sendOn(): void {
    while (this.#canSend) {
      if (!this.#link.hasRoom) {
        this.#link.whenRoom(this);
        return;
      }
      this.sendOne();
    }
  }

  #sendPiece(unsent: UnsentData, length: number): void {
    this.#window -= length;
    this.#unsentBytes -= length;
    if (length === unsent.length) {
      this.#unsent.shift();
      this.#link.data(this.#stream, unsent.parts, length, unsent.done);
      return;
    }
    const [piece, rest] = splitParts(unsent.parts, length);
    unsent.parts = rest;
    unsent.length -= length;
    this.#link.data(this.#stream, piece, length, undefined);
  }

  #end(code: number): void {
    this.#hasEnded = true;
    this.#endTimer ??= setTimeout(() => this.terminate(), this.#endWithinMs);
    this.#sendBehind({ frame: encodeEnd(this.#stream, code), isEnd: true });
  }

  #sendBehind(unsent: UnsentFrame): void {
    if (this.#unsent.length > 0) {
      this.#unsent.push(unsent);
    } else {
      this.#sendFrame(unsent);
    }
  }

  #sendFrame({ frame, isEnd }: UnsentFrame): void {
    this.#link.frame(frame);
    if (isEnd) {
      this.#hasSentEnd = true;
      this.#forgetWhenOver();
    }
  }

  #take(item: Unread): void {
    if (this.#isCutOff) {
      return;
    }
    if (this.#isPaused || this.#isDelivering) {
      this.#keep(item);
    } else {
      this.#deliver(item);
    }
  }

  /**
   * A small piece is a view of all that came with it: kept as it is, it would keep memory many times
   * its size, and a window of single bytes a million objects.
   */
  #keep(item: Unread): void {
    const last = this.#unread.at(-1);
    if (!Buffer.isBuffer(item) || item.length > LARGEST_COPY) {
      this.#copies = undefined;
      this.#unread.push(item);
      return;
    }
    const copies = this.#copies;
    if (copies === undefined || !Buffer.isBuffer(last) || last.buffer !== copies.buffer) {
      this.#copies = Buffer.allocUnsafeSlow(COPIES_BYTES);
      item.copy(this.#copies);
      this.#unread.push(this.#copies.subarray(0, item.length));
      return;
    }
    const length = last.length + item.length;
    if (length > copies.length) {
      this.#copies = undefined;
      this.#keep(item);
      return;
    }
    item.copy(copies, last.length);
    this.#unread[this.#unread.length - 1] = copies.subarray(0, length);
  }

  #deliver(item: Unread): void {
    if (item === 'half-close') {
      this.emit('halfClose');
    } else if ('endCode' in item) {
      if (!this.#hasEnded) {
        // Answered as a WebSocket does it: with the same code, once all that was sent is out.
        this.#end(item.endCode);
      }
      this.#close(item.endCode);
    } else {
      this.emit('data', item);
      this.#grant(item.length);
    }
  }

  #grant(length: number): void {
    this.#delivered += length;
    if (this.#delivered >= GRANT_BYTES && !this.#peerHasEnded) {
      this.#link.frame(encodeWindow(this.#stream, this.#delivered));
      this.#received -= this.#delivered;
      this.#delivered = 0;
    }
  }

  /** Nothing is delivered any more, nothing sent but the end. */
  #cutOff(): void {
    this.#isCutOff = true;
    this.#hasEnded = true;
    this.#unread = [];
    this.#copies = undefined;
    this.#unsentBytes = 0;
    const unsent = this.#unsent.splice(0);
    if (!this.#hasSentEnd) {
      this.#sendFrame({ frame: encodeEnd(this.#stream, END_CODE.broken), isEnd: true });
    }
    this.#forgetWhenOver();
    for (const waiting of unsent) {
      if ('done' in waiting) {
        waiting.done?.(new Error('the stream was cut off'));
      }
    }
  }

  #close(code: number): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.emit('close', code);
    }
  }

  #forgetWhenOver(): void {
    if (this.#hasSentEnd && this.#peerHasEnded) {
      clearTimeout(this.#endTimer);
      this.#link.forget(this.#stream);
    }
  }
}

function splitParts(
  parts: readonly Uint8Array[],
  length: number,
): readonly [readonly Uint8Array[], readonly Uint8Array[]] {
  const first: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let left = length;
  for (const part of parts) {
    if (left > 0) {
      first.push(part.subarray(0, left));
    }
    if (part.length > left) {
      rest.push(part.subarray(left));
    }
    left = Math.max(0, left - part.length);
  }
  return [first, rest];
}
