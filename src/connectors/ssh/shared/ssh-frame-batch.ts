/**
 * Frames of connectors/ssh/protocol on their way into a tunnel stream, at either end of it. What follows costs
 * per write (a frame of the recording, a write to the tunnel), and what servers and clients send are
 * packets of 32 KiB: those that come in one turn of the event loop go on together, and data of one
 * channel as one frame. Little leaves when the call is over that brought it: a typed byte waits for
 * nothing.
 */
import type { Writable } from 'node:stream';
import { encodeDataHeader, encodeFrame } from '../protocol/encode-frame.ts';
import {
  type DownFrame,
  FRAME_HEADER_BYTES,
  MAX_DATA_BYTES,
  type UpFrame,
} from '../protocol/frame.ts';

/** Whoever sends so much at once sends on: what else the turn brings is waited for. */
const BULK_BYTES = 16 * 1024;
/** More is not put together; the tunnel takes it in one piece. */
const LARGEST_BATCH = 256 * 1024;
/** Who sends byte by byte has them copied: a piece costs a hundred times the byte that is in it. */
const MAX_PIECES = 1024;

type Frame = UpFrame | DownFrame;
type DataFrame = Extract<Frame, { type: 'data' | 'stderr' }>;

export interface SshFrameBatchOptions {
  /** After each write; false: the stream would like to have no more for now. */
  readonly onWritten: (hasRoom: boolean) => void;
  /** What is thrown where no caller is that could catch it: a fault of ours, which ends the stream. */
  readonly onFault: (error: unknown) => void;
}

export class SshFrameBatch {
  readonly #stream: Writable;
  readonly #options: SshFrameBatchOptions;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** The last of the frames, if more of its data may come: its header is not among the parts yet. */
  #data: { readonly type: DataFrame['type']; readonly channel: number; length: number } | undefined;
  #dataParts: Uint8Array[] = [];
  #isTickDue = false;
  #turnEnd: NodeJS.Immediate | undefined;
  #isBroken = false;

  constructor(stream: Writable, options: SshFrameBatchOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  /**
   * Its data must not change any more.
   * @throws RangeError for what no frame can hold; as `flush`
   */
  add(frame: Frame): void {
    if (frame.type === 'data' || frame.type === 'stderr') {
      this.#addData(frame);
    } else {
      const parts = encodeFrame(frame);
      this.#sealData();
      this.#push(parts);
    }
    if (this.#bytes >= LARGEST_BATCH) {
      this.flush();
    } else if (!this.#isTickDue && this.#turnEnd === undefined && this.#bytes > 0) {
      this.#isTickDue = true;
      process.nextTick(() => this.#callIsOver());
    }
  }

  /** Now, whatever else may come. @throws what the stream or `onWritten` throws */
  flush(): void {
    clearImmediate(this.#turnEnd);
    this.#turnEnd = undefined;
    this.#sealData();
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    const stream = this.#stream;
    if (parts.length === 0 || !stream.writable || this.#isBroken) {
      return;
    }
    this.#options.onWritten(this.#write(parts));
  }

  #write(parts: readonly Uint8Array[]): boolean {
    const stream = this.#stream;
    let hasRoom = true;
    try {
      stream.cork();
      for (const part of parts) {
        hasRoom = stream.write(part);
      }
      stream.uncork();
      return hasRoom;
    } catch (error) {
      // Behind half a frame the next one would be taken for its data.
      this.#isBroken = true;
      throw error;
    }
  }

  #callIsOver(): void {
    this.#isTickDue = false;
    if (this.#bytes < BULK_BYTES) {
      this.#flushLater();
    } else {
      this.#turnEnd ??= setImmediate(() => this.#flushLater());
    }
  }

  /** Called by the event loop, where what is thrown would end the process. */
  #flushLater(): void {
    try {
      this.flush();
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #addData(frame: DataFrame): void {
    const { type, channel, data } = frame;
    if (data.length === 0 || data.length > MAX_DATA_BYTES) {
      throw new RangeError(`a frame cannot have ${data.length} bytes of data`);
    }
    if (this.#bytes > 0 && this.#bytes + FRAME_HEADER_BYTES + data.length > LARGEST_BATCH) {
      // Whoever takes it may have frames of its own for here: what is open is looked at behind it.
      this.flush();
    }
    const last = this.#data;
    const isMore =
      last?.type === type &&
      last.channel === channel &&
      last.length + data.length <= MAX_DATA_BYTES;
    if (last !== undefined && isMore) {
      last.length += data.length;
    } else {
      this.#sealData();
      this.#data = { type, channel, length: data.length };
      this.#bytes += FRAME_HEADER_BYTES;
    }
    this.#dataParts = inFewPieces(this.#dataParts);
    this.#dataParts.push(data);
    this.#bytes += data.length;
  }

  #sealData(): void {
    const data = this.#data;
    if (data !== undefined) {
      this.#parts = inFewPieces(this.#parts);
      this.#parts.push(encodeDataHeader(data.type, data.channel, data.length), ...this.#dataParts);
      this.#data = undefined;
      this.#dataParts = [];
    }
  }

  #push(parts: readonly Uint8Array[]): void {
    this.#parts = inFewPieces(this.#parts);
    for (const part of parts) {
      this.#parts.push(part);
      this.#bytes += part.length;
    }
  }
}

function inFewPieces(pieces: Uint8Array[]): Uint8Array[] {
  return pieces.length > MAX_PIECES ? [Buffer.concat(pieces)] : pieces;
}
