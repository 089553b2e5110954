/**
 * One stream of a session as the engine sees it: a Duplex over its carrier, with the recording in
 * between. What is read has been given to the recording, and whoever forwards it waits until it is
 * written; what is written here leaves when it is recorded, with what else the turn leaves.
 */
import { Duplex } from 'node:stream';
import { END_CODE, isOrderlyEnd, type StreamCarrier } from '../../carrier/stream-carrier.ts';
import { unshared } from '../../carrier/unshared.ts';
import { bytesPassed } from '../../passing-buffers.ts';
import { type Direction, DOWN, UP } from '../../recording/types.ts';

/** What the stream needs of the session's recording. */
export interface StreamRecording {
  /** Throws once the recording has stopped. */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void;
  /** write(2) of everything before has returned when this returns. Throws as `data`. */
  flush(): void;
  /** Calls back when it has returned, at the end of this turn of the event loop or before. */
  whenWritten(forward: () => void): void;
  /** Defined while too much is not agreed yet: neither leg may go on until it resolves. */
  backpressure(): Promise<void> | undefined;
}

export interface TunnelStreamOptions {
  readonly carrier: StreamCarrier;
  readonly stream: number;
  readonly recording: StreamRecording;
  /** A byte came from the client. */
  readonly onActivity: () => void;
  /** The recording refused bytes: the session cannot go on. */
  readonly onRecordingFault: (error: unknown) => void;
}

type Done = (error?: Error | null) => void;

/** Bytes handed to the carrier and not sent yet, from which on a write waits for it. */
const SEND_BUFFER_BYTES = 512 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;
/** Pieces that wait for the engine; more wait in the carrier, which joins what is small. */
const MAX_PIECES = 64;

export class TunnelStream extends Duplex {
  readonly #options: TunnelStreamOptions;
  readonly #left = new AbortController();
  /** Bytes that leave when they are recorded. */
  #unwritten = 0;
  #paused = false;
  #held = false;
  /** Pushed since the engine last had taken all. */
  #pieces = 0;
  /** Nobody reads any more: what still comes is recorded, so that the totals agree. */
  #finished = false;

  constructor(options: TunnelStreamOptions) {
    super({
      readableHighWaterMark: READ_BUFFER_BYTES,
      writableHighWaterMark: SEND_BUFFER_BYTES,
      // The engine ends its side by itself; the tunnel has no half-open state of its own.
      allowHalfOpen: true,
    });
    this.#options = options;
    options.carrier
      .on('data', (bytes) => this.#received(bytes))
      .on('halfClose', () => this.#halfClosed())
      .on('unsupported', () => this.#refuse())
      .on('ending', () => this.#flush())
      .on('close', (code) => this.#closed(code));
  }

  /** Aborted when the client takes nothing any more; after a half-close it still does. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  override _read(): void {
    if (this.#paused && !this.#held && this.#pieces < MAX_PIECES) {
      this.#paused = false;
      this.#options.carrier.resume();
    }
  }

  /** `_read` is not asked for again by what it was asked for in vain. */
  override read(size?: number): Buffer | null {
    const bytes: Buffer | null = super.read(size);
    if (this.#pieces > 0 && this.readableLength === 0) {
      this.#pieces = 0;
      this._read();
    }
    return bytes;
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#sendAgreed([chunk], done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    this.#sendAgreed(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finished = true;
    this.#endCarrier(END_CODE.normal);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Destroyed by the engine in mid-flight or after the end: either way the peer is told, and what
    // it still sends is recorded until it has answered.
    this.#endCarrier(error ? END_CODE.internalError : END_CODE.normal);
    done(error);
  }

  #sendAgreed(parts: readonly Buffer[], done: Done): void {
    const waiting = this.#options.recording.backpressure();
    if (waiting === undefined) {
      this.#send(parts, done);
    } else {
      waiting
        .then(() => this.#send(parts, done), done)
        .catch((error: unknown) => this.#failed(error));
    }
  }

  #send(parts: readonly Buffer[], done: Done): void {
    const { carrier, recording, stream } = this.#options;
    if (!carrier.isOpen) {
      done(new Error('the tunnel stream is closed'));
      return;
    }
    try {
      recording.data(stream, DOWN, parts);
    } catch (error) {
      this.#options.onRecordingFault(error);
      done(error instanceof Error ? error : new Error('the recording stopped'));
      return;
    }
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    bytesPassed(length);
    this.#unwritten += length;
    const hasRoom = carrier.unsentBytes + this.#unwritten < SEND_BUFFER_BYTES;
    recording.whenWritten(() => {
      this.#unwritten -= length;
      try {
        carrier.send(parts, hasRoom ? undefined : (error) => done(error ?? null));
      } catch (error) {
        // What other streams wait for goes on behind this, and must not be lost with it.
        this.#failed(error);
      }
    });
    if (hasRoom) {
      done();
    }
  }

  /** A fault of ours, where nobody could catch it, ends this stream, and not the process. */
  #failed(error: unknown): void {
    this.destroy(error instanceof Error ? error : new Error('the tunnel failed'));
  }

  #refuse(): void {
    this.#options.carrier.end(END_CODE.unsupportedData);
    this.destroy(new Error('the client sent a text message on a data stream'));
  }

  #received(data: Buffer): void {
    const { recording, stream } = this.#options;
    try {
      recording.data(stream, UP, [data]);
    } catch (error) {
      this.#options.onRecordingFault(error);
      return;
    }
    bytesPassed(data.length);
    this.#options.onActivity();
    if (!this.destroyed && !this.#finished) {
      try {
        this.#give(data);
      } catch (error) {
        // Other streams come on the same connection, and behind this on the same chunk of it.
        this.#failed(error);
      }
    }
    const waiting = recording.backpressure();
    if (waiting !== undefined && !this.#held) {
      this.#hold(waiting);
    }
  }

  #give(data: Buffer): void {
    const hasRoom = this.push(this.#toKeep(data));
    this.#pieces = this.readableLength === 0 ? 0 : this.#pieces + 1;
    if (!hasRoom || this.#pieces >= MAX_PIECES) {
      this.#paused = true;
      this.#options.carrier.pause();
    }
  }

  /** What the engine takes at once needs no copy. */
  #toKeep(data: Buffer): Buffer {
    return this.readableFlowing === true && this.readableLength === 0 ? data : unshared(data);
  }

  /** Stops reading until the two sides have agreed on enough of what is recorded. */
  #hold(waiting: Promise<void>): void {
    this.#held = true;
    this.#paused = true;
    this.#options.carrier.pause();
    const release = (): void => {
      this.#held = false;
      // The engine may still be behind; then its next read resumes.
      if (this.destroyed || this.readableLength < READ_BUFFER_BYTES) {
        this._read();
      }
    };
    waiting.then(release, (error: unknown) => {
      release();
      this.destroy(error instanceof Error ? error : new Error('the recording stopped'));
    });
  }

  /** What came before it may not have been read yet; should more come, it is recorded only. */
  #halfClosed(): void {
    if (!this.destroyed && !this.#finished) {
      this.#finished = true;
      this.push(null);
    }
  }

  #closed(code: number): void {
    this.#left.abort();
    if (this.destroyed) {
      return;
    }
    if (isOrderlyEnd(code)) {
      this.#halfClosed();
    } else {
      this.destroy(new Error(`the tunnel stream broke (${code})`));
    }
  }

  /** What the record says was sent is sent. */
  #flush(): void {
    if (this.#unwritten > 0) {
      try {
        this.#options.recording.flush();
      } catch (error) {
        // What is not recorded does not leave; the peer is told all the same.
        this.#options.onRecordingFault(error);
      }
    }
  }

  #endCarrier(code: number): void {
    const { carrier } = this.#options;
    this.#flush();
    carrier.end(code);
    if (!carrier.isClosed) {
      // Paused, it would never see the answer to its end.
      this.#paused = false;
      this.#held = false;
      carrier.resume();
    }
  }
}
