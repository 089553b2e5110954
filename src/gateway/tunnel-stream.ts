/**
 * One stream of a session as the engine sees it: a Duplex over its carrier, with the recording in
 * between. What is read has been given to the recording, which whoever forwards it flushes before;
 * what is written is recorded before it leaves.
 */
import { Duplex } from 'node:stream';
import { END_CODE, isOrderlyEnd, type StreamCarrier } from '../carrier/stream-carrier.ts';
import { bytesPassed } from '../passing-buffers.ts';
import { type Direction, DOWN, UP } from '../recording/types.ts';

/** What the stream needs of the session's recording. */
export interface StreamRecording {
  /** Throws once the recording has stopped. */
  data(stream: number, direction: Direction, bytes: Uint8Array): void;
  /** write(2) of everything before has returned when this returns. Throws as `data`. */
  flush(): void;
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

/** Bytes handed to the carrier and not sent yet, from which on a write waits for it. */
const SEND_BUFFER_BYTES = 256 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;

export class TunnelStream extends Duplex {
  readonly #options: TunnelStreamOptions;
  readonly #left = new AbortController();
  #paused = false;
  #held = false;
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
      .on('close', (code) => this.#closed(code));
  }

  /** Aborted when the client takes nothing any more; after a half-close it still does. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  override _read(): void {
    if (this.#paused && !this.#held) {
      this.#paused = false;
      this.#options.carrier.resume();
    }
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const waiting = this.#options.recording.backpressure();
    if (waiting === undefined) {
      this.#send(chunk, done);
    } else {
      waiting.then(() => this.#send(chunk, done), done);
    }
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: string }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', done);
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

  #send(chunk: Buffer, done: (error?: Error | null) => void): void {
    const { carrier, recording, stream } = this.#options;
    if (!carrier.isOpen) {
      done(new Error('the tunnel stream is closed'));
      return;
    }
    try {
      recording.data(stream, DOWN, chunk);
      recording.flush();
    } catch (error) {
      this.#options.onRecordingFault(error);
      done(error instanceof Error ? error : new Error('the recording stopped'));
      return;
    }
    bytesPassed(chunk.length);
    if (carrier.unsentBytes + chunk.length < SEND_BUFFER_BYTES) {
      carrier.send(chunk);
      done();
    } else {
      carrier.send(chunk, (error) => done(error ?? null));
    }
  }

  #refuse(): void {
    this.#options.carrier.end(END_CODE.unsupportedData);
    this.destroy(new Error('the client sent a text message on a data stream'));
  }

  #received(data: Buffer): void {
    const { carrier, recording, stream } = this.#options;
    try {
      recording.data(stream, UP, data);
    } catch (error) {
      this.#options.onRecordingFault(error);
      return;
    }
    bytesPassed(data.length);
    this.#options.onActivity();
    if (!this.destroyed && !this.#finished && !this.push(data)) {
      this.#paused = true;
      carrier.pause();
    }
    const waiting = recording.backpressure();
    if (waiting !== undefined && !this.#held) {
      this.#hold(waiting);
    }
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

  #endCarrier(code: number): void {
    const { carrier } = this.#options;
    carrier.end(code);
    if (!carrier.isClosed) {
      // Paused, it would never see the answer to its end.
      this.#paused = false;
      this.#held = false;
      carrier.resume();
    }
  }
}
