import { EventEmitter } from 'node:events';
import { ProtocolError } from '../errors.ts';
import { encodeEnd, encodeHalfClose, encodeWindow } from '../protocol/carrier/frames.ts';
import { type CarrierEvents, END_CODE, type StreamCarrier } from './stream-carrier.ts';
import { UnreadItems } from './unread-items.ts';
import { type Done, type UnsentData, type UnsentFrame, UnsentItems } from './unsent-items.ts';

/** How much of one direction of a stream may be on the way, or wait here for who does not read, at first. */
export const WINDOW_BYTES = 2 * 1024 * 1024;
/** What it may grow to. */
export const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** Read before the peer is told of it: such a part of the window. */
const GRANT_PART = 4;
/** Whoever reads a window in less has use for a larger one, and in more for a smaller one. */
const QUICK_MS = 500;
const SLOW_MS = 4000;
/** Streams take turns by pieces of at most this. */
const PIECE_BYTES = 256 * 1024;
/** A window that only a hostile peer opens further. */
const MAX_PEER_WINDOW_BYTES = 2 ** 32;

/** What a stream needs of its connection. */
export interface StreamLink {
  readonly isOpen: boolean;
  /** Data may be given to it. */
  readonly hasRoom: boolean;
  /** Bytes of all streams that were given to it and are not in the kernel yet. */
  readonly unsentBytes: number;
  data(stream: number, data: UnsentData): void;
  frame(bytes: Uint8Array): void;
  /** Calls `sendOne` when there is room again. */
  whenRoom(stream: MultiplexedStream): void;
  /** Of what all streams may have beside their first windows; less, when the others have it. */
  borrowWindow(bytes: number): number;
  giveWindowBack(bytes: number): void;
  /** Both sides have ended it. */
  forget(stream: number): void;
}

type Unread = Buffer | Mark;
type Mark = 'half-close' | { readonly endCode: number };

/** One of several streams on a connection: `StreamConnection` has the connection. */
export class MultiplexedStream extends EventEmitter<CarrierEvents> implements StreamCarrier {
  readonly #stream: number;
  readonly #link: StreamLink;
  readonly #endWithinMs: number;
  readonly #unsent = new UnsentItems();
  /** What the peer takes still. */
  #window = WINDOW_BYTES;
  /** What it may send before it is given more. */
  #limit = WINDOW_BYTES;
  /** What came while paused. */
  readonly #unread = new UnreadItems<Mark>();
  #hasHalfClosed = false;
  /** Bytes that came for which the peer has not been given new ones; of them delivered. */
  #received = 0;
  #delivered = 0;
  /** Since the window was last looked at. */
  #readOfWindow = 0;
  #windowBegan = Number.NEGATIVE_INFINITY;
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
    return this.#unsent.bytes + this.#link.unsentBytes;
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
      this.#link.data(this.#stream, { parts, length, done });
    } else {
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
    if (this.#received > this.#limit || this.#peerHasEnded) {
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
    this.#window = Math.min(MAX_PEER_WINDOW_BYTES, this.#window + more);
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
    const next = this.#unsent.take(Math.min(this.#window, PIECE_BYTES));
    if (next !== undefined && 'frame' in next) {
      this.#sendFrame(next);
    } else if (next !== undefined) {
      this.#window -= next.length;
      this.#link.data(this.#stream, next);
    }
    if (this.#unsent.canSend(this.#window)) {
      this.#link.whenRoom(this);
    }
  }

  /** The usual case, in which nothing is kept. */
  #goesAtOnce(length: number): boolean {
    return (
      this.#unsent.isEmpty && length <= this.#window && length <= PIECE_BYTES && this.#link.hasRoom
    );
  }

  #sendOn(): void {
    while (this.#unsent.canSend(this.#window)) {
      if (!this.#link.hasRoom) {
        this.#link.whenRoom(this);
        return;
      }
      this.sendOne();
    }
  }

  #end(code: number): void {
    this.#hasEnded = true;
    this.#sendBehind({ frame: encodeEnd(this.#stream, code), isEnd: true });
  }

  #sendBehind(unsent: UnsentFrame): void {
    if (this.#unsent.isEmpty) {
      this.#sendFrame(unsent);
    } else {
      this.#unsent.push(unsent);
    }
  }

  #sendFrame({ frame, isEnd }: UnsentFrame): void {
    this.#link.frame(frame);
    if (isEnd) {
      this.#hasSentEnd = true;
      this.#endTimer = setTimeout(() => this.terminate(), this.#endWithinMs);
      this.#forgetWhenOver();
    }
  }

  #take(item: Unread): void {
    if (this.#isCutOff) {
      return;
    }
    if (this.#isPaused || this.#isDelivering) {
      this.#unread.push(item);
    } else {
      this.#deliver(item);
    }
  }

  #deliver(item: Unread): void {
    if (item === 'half-close') {
      this.emit('halfClose');
    } else if ('endCode' in item) {
      if (!this.#hasEnded) {
        this.emit('ending');
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
    if (this.#delivered * GRANT_PART >= this.#limit && !this.#peerHasEnded) {
      const more = this.#growth();
      this.#limit += more;
      this.#received -= this.#delivered;
      const given = this.#delivered + more;
      this.#delivered = 0;
      if (given > 0) {
        this.#link.frame(encodeWindow(this.#stream, given));
      }
    }
  }

  /**
   * On a long way a window is used up long before its bytes have been taken and the peer has heard of
   * it. So who reads much and keeps pace is given a larger one; not who has most of it waiting.
   * @returns negative: so much is taken back
   */
  #growth(): number {
    this.#readOfWindow += this.#delivered;
    if (this.#readOfWindow < this.#limit) {
      return 0;
    }
    const now = performance.now();
    const took = now - this.#windowBegan;
    this.#windowBegan = now;
    this.#readOfWindow = 0;
    if (took > SLOW_MS) {
      const back = Math.min(this.#delivered, this.#limit - WINDOW_BYTES);
      this.#link.giveWindowBack(back);
      return -back;
    }
    const waiting = this.#received - this.#delivered;
    if (took > QUICK_MS || waiting * 2 > this.#limit) {
      return 0;
    }
    return this.#link.borrowWindow(Math.min(this.#limit, MAX_WINDOW_BYTES - this.#limit));
  }

  /** Nothing is delivered any more, nothing sent but the end. */
  #cutOff(): void {
    this.#isCutOff = true;
    this.#hasEnded = true;
    this.#unread.clear();
    this.#unsent.drop(new Error('the stream was cut off'));
    if (!this.#hasSentEnd) {
      this.#sendFrame({ frame: encodeEnd(this.#stream, END_CODE.broken), isEnd: true });
    }
    this.#forgetWhenOver();
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
      this.#link.giveWindowBack(this.#limit - WINDOW_BYTES);
      this.#limit = WINDOW_BYTES;
      this.#link.forget(this.#stream);
    }
  }
}
