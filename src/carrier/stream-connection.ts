/**
 * The TLS connection that carries all streams of a session, after the upgrade; either end. Streams
 * share its records, its system calls and its congestion window; each has a window of its own, so
 * that one that is not read holds up no other. docs/design/0045-carriers.md.
 */
import type { Duplex } from 'node:stream';
import { ByteBudget } from '../byte-budget.ts';
import { ProtocolError } from '../errors.ts';
import {
  type CarriedItem,
  encodeAccepted,
  encodeOpen,
  encodeRefused,
  FRAME_HEADER_BYTES,
  FrameScanner,
  writeDataHeader,
} from '../protocol/carrier/frames.ts';
import { onAbort } from '../until.ts';
import { MultiplexedStream, type StreamLink } from './multiplexed-stream.ts';
import { END_CODE, type StreamCarrier } from './stream-carrier.ts';
import type { UnsentData } from './unsent-items.ts';
import { WriteBatch } from './write-batch.ts';

/** Given to the socket and not in the kernel yet, from which on streams wait and take turns. */
const ROOM_BYTES = 1024 * 1024;
/** Data wait for room; answers do not, and to a peer that reads none of them there is an end. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** Windows of all streams of a session beyond their first: who stands still holds no more. */
export const MORE_WINDOW_BYTES = 12 * 1024 * 1024;
/** Within what comes at once: each costs more here than to whoever asks. */
const MAX_REFUSALS_AT_ONCE = 1000;
const MAX_STREAMS = 4096;
/** Those whose client has gone before it has taken all that was sent: each still holds some of it. */
const MAX_ENDING = 256;

/** What the gateway says to a stream that it does not open. */
export class StreamRefused extends Error {
  readonly why: Uint8Array;

  constructor(why: Uint8Array) {
    super('the gateway refused the stream');
    this.name = 'StreamRefused';
    this.why = why;
  }
}

export interface StreamRequest {
  readonly stream: number;
  /** Untrusted. */
  readonly kind: string;
  /** Exactly one of these, at once or later. */
  accept(): StreamCarrier;
  /** @param why 1 to 65535 bytes for `StreamRefused` */
  refuse(why: Uint8Array): void;
}

export interface StreamConnectionOptions {
  /** After the upgrade. Whoever reads it calls `receive`. */
  readonly socket: Duplex;
  /** How long the peer may take to answer the end of a stream. */
  readonly endWithinMs: number;
  /** The gateway's end: the CLI wants a stream. */
  readonly onOpen?: (request: StreamRequest) => void;
  /** What windows of what comes may have beyond their first, with whoever has the same budget. */
  readonly windows?: ByteBudget;
}

export class StreamConnection {
  readonly #socket: Duplex;
  readonly #endWithinMs: number;
  readonly #onOpen: StreamConnectionOptions['onOpen'];
  readonly #scanner = new FrameScanner<Buffer>((chunk, start, end) => chunk.subarray(start, end));
  readonly #streams = new Map<number, MultiplexedStream>();
  /** Of the CLI's: asked for, and not answered yet. */
  readonly #asked = new Map<number, PromiseWithResolvers<void>>();
  /** Of the gateway's: refused, and their end has not come yet. */
  readonly #refused = new Set<number>();
  readonly #waiting = new Set<MultiplexedStream>();
  readonly #link: StreamLink;
  readonly #batch: WriteBatch;
  #refusals = 0;
  readonly #windows: ByteBudget;
  #isClosed = false;
  readonly #lostListeners: (() => void)[] = [];

  constructor({ socket, endWithinMs, onOpen, windows }: StreamConnectionOptions) {
    this.#socket = socket;
    this.#windows = windows ?? new ByteBudget(MORE_WINDOW_BYTES);
    this.#endWithinMs = endWithinMs;
    this.#onOpen = onOpen;
    this.#batch = new WriteBatch(socket);
    this.#link = this.#makeLink();
    socket.on('end', () => this.#lost()).on('close', () => this.#lost());
    socket.on('drain', () => this.#roomAgain());
    // 'close' follows and says what there is to say; a listener keeps it from being thrown.
    socket.on('error', () => socket.destroy());
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#socket.writable;
  }

  /** Calls back once, now if it has been lost already. */
  onceLost(listener: () => void): void {
    if (this.#isClosed) {
      listener();
    } else {
      this.#lostListeners.push(listener);
    }
  }

  /**
   * The CLI's end. @param stream a number that this session has not used, @param kind ASCII
   * @throws StreamRefused; Error when the connection is lost, `signal.reason` when it is given up
   */
  async open(stream: number, kind: string, signal: AbortSignal): Promise<StreamCarrier> {
    signal.throwIfAborted();
    if (!this.isOpen) {
      throw new Error('the connection was lost');
    }
    const carrier = this.#add(stream, true);
    const asked = Promise.withResolvers<void>();
    this.#asked.set(stream, asked);
    using _ = onAbort(signal, () => {
      carrier.terminate();
      asked.reject(signal.reason);
    });
    this.#frame(encodeOpen(stream, kind));
    try {
      await asked.promise;
      return carrier;
    } finally {
      this.#asked.delete(stream);
    }
  }

  /** Bytes from the connection, in order. Memory that nobody writes to again. */
  receive(chunk: Buffer): void {
    if (this.#isClosed) {
      return;
    }
    this.#refusals = 0;
    try {
      this.#scanner.feed(chunk);
      for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
        this.#received(item);
        if (this.#socket.destroyed) {
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#lost(END_CODE.protocolError);
    }
  }

  /** After all that was sent; the streams have ended, or end with it. */
  close(): void {
    this.#batch.flush();
    const socket = this.#socket;
    const timer = setTimeout(() => socket.destroy(), this.#endWithinMs);
    socket.once('close', () => clearTimeout(timer));
    socket.end(() => socket.destroy());
    // What still comes is dropped; paused, the connection would never see its end.
    socket.resume();
  }

  /** Cuts the connection off. */
  terminate(): void {
    this.#socket.destroy();
  }

  #makeLink(): StreamLink {
    const connection = this;
    return {
      get isOpen() {
        return connection.isOpen;
      },
      get hasRoom() {
        return connection.#batch.unsentBytes < ROOM_BYTES;
      },
      get unsentBytes() {
        return connection.#batch.unsentBytes;
      },
      data: (stream, data) => this.#data(stream, data),
      frame: (bytes) => this.#frame(bytes),
      whenRoom: (stream) => this.#waiting.add(stream),
      borrowWindow: (bytes) => {
        // Half of what is left, so that one that comes later gets something.
        const lent = Math.min(bytes, Math.floor(this.#windows.left / 2));
        return this.#windows.take(lent) ? lent : 0;
      },
      giveWindowBack: (bytes) => this.#windows.give(bytes),
      forget: (stream) => {
        this.#streams.delete(stream);
      },
    };
  }

  #add(stream: number, paused: boolean): MultiplexedStream {
    const endWithinMs = this.#endWithinMs;
    const carrier = new MultiplexedStream({ stream, link: this.#link, endWithinMs, paused });
    this.#streams.set(stream, carrier);
    return carrier;
  }

  #received(item: CarriedItem<Buffer>): void {
    if (item.kind === 'open') {
      this.#opened(item.stream, item.streamKind);
      return;
    }
    const stream = this.#streams.get(item.stream);
    if (stream === undefined) {
      if (item.kind === 'end' && this.#refused.delete(item.stream)) {
        return;
      }
      if (item.kind === 'window') {
        // Sent before its stream's end had come.
        return;
      }
      throw new ProtocolError(`there is no stream ${item.stream}`);
    }
    switch (item.kind) {
      case 'data':
        stream.received(item.bytes);
        return;
      case 'window':
        stream.receivedWindow(item.more);
        return;
      case 'half-close':
        stream.receivedHalfClose();
        return;
      case 'end':
        stream.receivedEnd(item.code);
        return;
      case 'accepted':
        this.#answer(item.stream)?.resolve();
        return;
      case 'refused':
        this.#answer(item.stream)?.reject(new StreamRefused(item.why));
        stream.receivedEnd(END_CODE.broken);
    }
  }

  /** @throws ProtocolError for an answer to what was not asked */
  #answer(stream: number): PromiseWithResolvers<void> | undefined {
    if (this.#onOpen !== undefined) {
      throw new ProtocolError('only the gateway accepts and refuses');
    }
    // Absent: given up in between.
    const asked = this.#asked.get(stream);
    this.#asked.delete(stream);
    return asked;
  }

  #opened(stream: number, kind: string): void {
    const onOpen = this.#onOpen;
    if (onOpen === undefined) {
      throw new ProtocolError('only the CLI opens streams');
    }
    if (this.#refusals > MAX_REFUSALS_AT_ONCE || this.#ending > MAX_ENDING) {
      throw new ProtocolError('too many streams that are refused or not ended');
    }
    const count = this.#streams.size + this.#refused.size;
    if (this.#streams.has(stream) || this.#refused.has(stream) || count >= MAX_STREAMS) {
      throw new ProtocolError(`stream ${stream} cannot be opened`);
    }
    onOpen({
      stream,
      kind,
      accept: () => {
        this.#frame(encodeAccepted(stream));
        return this.#add(stream, false);
      },
      refuse: (why) => {
        this.#refusals += 1;
        this.#refused.add(stream);
        this.#frame(encodeRefused(stream, why));
      },
    });
  }

  get #ending(): number {
    let count = 0;
    for (const stream of this.#streams.values()) {
      count += stream.isClosed ? 1 : 0;
    }
    return count;
  }

  #data(stream: number, { parts, length, done }: UnsentData): void {
    const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeDataHeader(header, stream, length);
    this.#batch.add([header, ...parts], FRAME_HEADER_BYTES + length, done);
  }

  #frame(bytes: Uint8Array): void {
    if (this.#batch.unsentBytes > MAX_UNSENT_BYTES) {
      this.#socket.destroy();
    } else {
      this.#batch.add([bytes], bytes.length);
    }
  }

  /** One piece of each stream that waits, round and round. */
  #roomAgain(): void {
    for (const stream of this.#waiting) {
      if (this.#batch.unsentBytes >= ROOM_BYTES) {
        return;
      }
      // Those that have more add themselves again, behind the others.
      this.#waiting.delete(stream);
      stream.sendOne();
    }
  }

  #lost(code: number = END_CODE.broken): void {
    if (this.#isClosed) {
      return;
    }
    this.#isClosed = true;
    this.#socket.destroy();
    for (const listener of this.#lostListeners.splice(0)) {
      listener();
    }
    this.#waiting.clear();
    for (const asked of this.#asked.values()) {
      asked.reject(new Error('the connection was lost'));
    }
    for (const stream of [...this.#streams.values()]) {
      stream.lost(code);
    }
    this.#streams.clear();
  }
}
