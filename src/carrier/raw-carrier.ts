import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { ProtocolError } from '../errors.ts';
import {
  encodeEnd,
  FRAME_HEADER_BYTES,
  FrameScanner,
  HALF_CLOSE,
  MAX_DATA_BYTES,
  writeDataHeader,
} from '../protocol/carrier/frames.ts';
import { type CarrierEvents, END_CODE, type StreamCarrier } from './stream-carrier.ts';

/** Up to this, header and bytes are copied into one buffer, which is cheaper than two writes. */
const LARGEST_COPY = 8 * 1024;

export interface RawCarrierOptions {
  /** The TLS connection after the upgrade. Whoever reads it calls `receive`. */
  readonly socket: Duplex;
  /** How long the peer may take to answer an end. */
  readonly endWithinMs: number;
  /** What came together with the reply to the upgrade; delivered at the first `resume`. */
  readonly first?: Buffer;
}

/** The bare TLS connection: its bytes are the stream's, with four bytes before each run of them. */
export class RawCarrier extends EventEmitter<CarrierEvents> implements StreamCarrier {
  readonly #socket: Duplex;
  readonly #endWithinMs: number;
  readonly #scanner = new FrameScanner<Buffer>((chunk, start, end) => chunk.subarray(start, end));
  #first: Buffer | undefined;
  #hasSentEnd = false;
  #isClosed = false;
  #isPaused = false;
  #endTimer: NodeJS.Timeout | undefined;

  constructor({ socket, endWithinMs, first }: RawCarrierOptions) {
    super();
    this.#socket = socket;
    this.#endWithinMs = endWithinMs;
    this.#first = first;
    socket.on('end', () => this.#lost()).on('close', () => this.#lost());
    // 'close' follows and says what there is to say; a listener keeps it from being thrown.
    socket.on('error', () => socket.destroy());
  }

  get isOpen(): boolean {
    return !this.#hasSentEnd && !this.#isClosed && this.#socket.writable;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  send(parts: readonly Uint8Array[], done?: (error: Error | undefined) => void): void {
    if (!this.isOpen) {
      done?.(new Error('the stream is closed'));
      return;
    }
    const sent = done && ((error: Error | null | undefined): void => done(error ?? undefined));
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length === 0) {
      sent?.(undefined);
    } else if (length <= LARGEST_COPY) {
      this.#socket.write(joinedFrame(parts, length), sent);
    } else {
      this.#sendLarge(parts, length, sent);
    }
  }

  halfClose(): void {
    if (this.isOpen) {
      this.#socket.write(HALF_CLOSE);
    }
  }

  end(code: number): void {
    if (this.isOpen) {
      this.#sendEnd(code);
      this.#endTimer = this.#destroyLater();
    }
  }

  terminate(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      this.receive(first);
    }
    if (!this.#isPaused) {
      this.#socket.resume();
    }
  }

  /** Bytes from the connection, in order. Memory that nobody writes to again. */
  receive(chunk: Buffer): void {
    if (this.#isClosed) {
      return;
    }
    try {
      this.#scanner.feed(chunk);
      for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
        if (item.kind === 'data') {
          this.emit('data', item.bytes);
        } else if (item.kind === 'half-close') {
          this.emit('halfClose');
        } else {
          // Answered as a WebSocket does it: with the same code, once all that was sent is out.
          this.#end(item.code);
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#end(END_CODE.protocolError);
    }
  }

  /** Corked: one write for TLS, so one run of full records and one system call. */
  #sendLarge(
    parts: readonly Uint8Array[],
    length: number,
    sent: ((error: Error | null | undefined) => void) | undefined,
  ): void {
    const socket = this.#socket;
    socket.cork();
    if (length <= MAX_DATA_BYTES) {
      socket.write(dataHeader(length));
    }
    for (const part of parts) {
      for (let at = 0; at < part.length; at += MAX_DATA_BYTES) {
        const piece = part.subarray(at, at + MAX_DATA_BYTES);
        if (length > MAX_DATA_BYTES) {
          socket.write(dataHeader(piece.length));
        }
        socket.write(piece);
      }
    }
    // The write after the last: empty, it is done when they all are.
    socket.write(NOTHING, sent);
    socket.uncork();
  }

  #sendEnd(code: number): void {
    if (!this.#hasSentEnd) {
      this.#hasSentEnd = true;
      this.#socket.write(encodeEnd(code));
    }
  }

  /** Both sides have ended: the connection closes when all that was sent is out. */
  #end(code: number): void {
    if (this.#isClosed) {
      return;
    }
    this.#sendEnd(code);
    this.#isClosed = true;
    const socket = this.#socket;
    this.#endTimer ??= this.#destroyLater();
    socket.end(() => socket.destroy());
    // What still comes is dropped; paused, the connection would never see its end.
    socket.resume();
    this.emit('close', code);
  }

  #destroyLater(): NodeJS.Timeout {
    return setTimeout(() => this.#socket.destroy(), this.#endWithinMs);
  }

  #lost(): void {
    clearTimeout(this.#endTimer);
    this.#socket.destroy();
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.emit('close', END_CODE.broken);
    }
  }
}

const NOTHING = new Uint8Array(0);

function dataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeDataHeader(header, length);
  return header;
}

function joinedFrame(parts: readonly Uint8Array[], length: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + length);
  writeDataHeader(frame, length);
  let at = FRAME_HEADER_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}
