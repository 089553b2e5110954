/**
 * One stream of a session as the engine sees it. What is read has been given to the recording, and
 * whoever forwards it waits until it is written.
 */
import { END_CODE, isOrderlyEnd } from '../../carrier/stream-carrier.ts';
import { unshared } from '../../carrier/unshared.ts';
import { give } from '../../flowing.ts';
import { bytesPassed } from '../../passing-buffers.ts';
import { DOWN, UP } from '../../recording/formats/types.ts';
import {
  type Done,
  RecordedStream,
  type RecordedStreamOptions,
  type StreamRecording,
  stoppedBy,
} from '../../recording/write/recorded-stream.ts';

/** What the stream needs of the session's recording. */
export interface TunnelRecording extends StreamRecording {
  /** Defined while too much is not agreed yet: neither leg may go on until it resolves. */
  backpressure(): Promise<void> | undefined;
}

export interface TunnelStreamOptions extends RecordedStreamOptions<TunnelRecording> {
  /** A byte passed, in either direction. */
  readonly onActivity: () => void;
  /** The recording refused bytes: the session cannot go on. */
  readonly onRecordingFault: (error: unknown) => void;
}

const BUFFERS = { readBytes: 256 * 1024, sendBytes: 512 * 1024 };
/** Pieces that wait for the engine; more wait in the carrier, which joins what is small. */
const MAX_PIECES = 64;

export class TunnelStream extends RecordedStream<TunnelRecording> {
  readonly #options: TunnelStreamOptions;
  readonly #left = new AbortController();
  #paused = false;
  #held = false;
  /** Pushed since the engine last had taken all. */
  #pieces = 0;
  /** Nobody reads any more: what still comes is recorded, so that the totals agree. */
  #finished = false;

  constructor(options: TunnelStreamOptions) {
    super(options, DOWN, BUFFERS);
    this.#options = options;
    options.carrier
      .on('data', (bytes) => this.#received(bytes))
      .on('halfClose', () => this.#halfClosed())
      .on('unsupported', () => this.#refuse())
      .on('ending', () => this.#flushNow())
      .on('close', (code) => this.#closed(code));
  }

  /** Aborted when the client takes nothing any more; after a half-close it still does. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  override _read(): void {
    if (this.#paused && !this.#held && this.#pieces < MAX_PIECES) {
      this.#paused = false;
      this.carrier.resume();
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

  override _final(done: Done): void {
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
    const waiting = this.recording.backpressure();
    if (waiting === undefined) {
      this.#send(parts, done);
    } else {
      waiting.then(() => this.guarded(() => this.#send(parts, done)), done);
    }
  }

  #send(parts: readonly Buffer[], done: Done): void {
    if (!this.carrier.isOpen) {
      done(new Error('the tunnel stream is closed'));
      return;
    }
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#options.onActivity();
    try {
      this.send(parts, length, done);
    } catch (error) {
      this.#options.onRecordingFault(error);
      done(stoppedBy(error));
    }
  }

  #refuse(): void {
    this.carrier.end(END_CODE.unsupportedData);
    this.destroy(new Error('the client sent a text message on a data stream'));
  }

  #received(data: Buffer): void {
    const { recording } = this;
    try {
      recording.data(this.stream, UP, [data]);
    } catch (error) {
      this.#options.onRecordingFault(error);
      return;
    }
    bytesPassed(data.length);
    this.#options.onActivity();
    if (!this.destroyed && !this.#finished) {
      // Other streams come on the same connection, and behind this on the same chunk of it.
      this.guarded(() => this.#give(data));
    }
    const waiting = recording.backpressure();
    if (waiting !== undefined && !this.#held) {
      this.#hold(waiting);
    }
  }

  #give(data: Buffer): void {
    const hasRoom = give(this, this.#toKeep(data));
    this.#pieces = this.readableLength === 0 ? 0 : this.#pieces + 1;
    if (!hasRoom || this.#pieces >= MAX_PIECES) {
      this.#paused = true;
      this.carrier.pause();
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
    this.carrier.pause();
    const release = (): void => {
      this.#held = false;
      // The engine may still be behind; then its next read resumes.
      if (this.destroyed || this.readableLength < BUFFERS.readBytes) {
        this._read();
      }
    };
    waiting.then(release, (error: unknown) => {
      release();
      this.destroy(stoppedBy(error));
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

  #flushNow(): void {
    try {
      this.flush();
    } catch (error) {
      // What is not recorded does not leave; the peer is told all the same.
      this.#options.onRecordingFault(error);
    }
  }

  #endCarrier(code: number): void {
    const { carrier } = this;
    this.#flushNow();
    carrier.end(code);
    if (!carrier.isClosed) {
      // Paused, it would never see the answer to its end.
      this.#paused = false;
      this.#held = false;
      carrier.resume();
    }
  }
}
