/**
 * One stream of the session as the local port sees it. What is read from it is in the record before
 * the local client gets it.
 */
import { END_CODE, isOrderlyEnd } from '../carrier/stream-carrier.ts';
import { HoopError } from '../errors.ts';
import { give } from '../flowing.ts';
import { bytesPassed } from '../passing-buffers.ts';
import { DOWN, UP } from '../recording/formats/types.ts';
import {
  type Done,
  RecordedStream,
  type RecordedStreamOptions,
  type StreamRecording,
  stoppedBy,
} from '../recording/write/recorded-stream.ts';

export interface ClientStreamOptions extends RecordedStreamOptions<StreamRecording> {
  /** Why the tunnel broke, when the session knows. */
  readonly reason: () => HoopError | undefined;
}

const BUFFERS = { readBytes: 512 * 1024, sendBytes: 256 * 1024 };
/** The gateway closes a stream with messages above 1 MiB. */
const MAX_MESSAGE_BYTES = 512 * 1024;

/** What is shorter is copied together: parts of a few bytes cost more than the copy. */
const LEAST_IN_PARTS = 16 * 1024;

const NOTHING = new Uint8Array(0);

export class ClientStream extends RecordedStream<StreamRecording> {
  readonly #reason: ClientStreamOptions['reason'];

  constructor(options: ClientStreamOptions) {
    super(options, UP, BUFFERS);
    this.#reason = options.reason;
    options.carrier
      .on('data', (bytes) => this.#received(bytes))
      .on('unsupported', () =>
        this.destroy(new HoopError('HOOP_PROTOCOL', 'the gateway sent text on a data stream')),
      )
      .on('close', (code) => this.#closed(code));
  }

  override _read(): void {
    this.carrier.resume();
  }

  /** The local client does not read, and so nothing is read from the gateway. */
  get isStanding(): boolean {
    return this.carrier.isPaused;
  }

  /** The local client has closed its half and still reads. `end` has to follow some time. */
  halfClose(): void {
    // As a write of nothing, it comes after all that was written before.
    this.write(NOTHING, () => {
      this.#flushNow();
      this.guarded(() => this.carrier.halfClose());
    });
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    if (chunk.length === 0) {
      done();
      return;
    }
    try {
      for (let at = 0; at < chunk.length; at += MAX_MESSAGE_BYTES) {
        const isLast = at + MAX_MESSAGE_BYTES >= chunk.length;
        const part = chunk.subarray(at, at + MAX_MESSAGE_BYTES);
        this.#sendOpen([part], part.length, isLast ? done : undefined);
      }
    } catch (error) {
      done(stoppedBy(error));
    }
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    const parts = chunks.map(({ chunk }) => chunk);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length < LEAST_IN_PARTS || length > MAX_MESSAGE_BYTES) {
      this._write(Buffer.concat(parts, length), 'buffer', done);
      return;
    }
    try {
      this.#sendOpen(parts, length, done);
    } catch (error) {
      done(stoppedBy(error));
    }
  }

  #sendOpen(parts: readonly Buffer[], length: number, done: Done | undefined): void {
    if (this.carrier.isOpen) {
      this.send(parts, length, done);
    } else {
      // The gateway has closed, or the connection broke: `#closed` is about to tell which. As with
      // a server that has closed, what comes too late for it is lost, and not an error by itself.
      done?.();
    }
  }

  /** No more from us; what the gateway still sends comes until it closes as well. */
  override _final(done: Done): void {
    this.#flushNow();
    this.carrier.end(END_CODE.normal);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { carrier } = this;
    this.#flushNow();
    carrier.end(END_CODE.normal);
    // Paused, it would never see the answer to its end.
    carrier.resume();
    done(error);
  }

  #received(data: Buffer): void {
    const { carrier, recording } = this;
    try {
      recording.data(this.stream, DOWN, [data]);
    } catch (error) {
      this.destroy(stoppedBy(error));
      return;
    }
    bytesPassed(data.length);
    this.unwritten += data.length;
    recording.turns.whenWritten(() => {
      this.unwritten -= data.length;
      this.guarded(() => {
        if (!this.destroyed && !give(this, data)) {
          carrier.pause();
        }
      });
    });
  }

  #flushNow(): void {
    try {
      this.flush();
    } catch (error) {
      this.destroy(stoppedBy(error));
    }
  }

  #closed(code: number): void {
    this.#flushNow();
    if (this.destroyed) {
      return;
    }
    if (isOrderlyEnd(code)) {
      this.push(null);
      this.end();
    } else {
      this.destroy(this.#broken());
    }
  }

  #broken(): HoopError {
    return (
      this.#reason() ??
      new HoopError('HOOP_UNREACHABLE', 'the connection to the gateway was lost', {
        hint: 'Start the session again with `hoop connect NAME`.',
      })
    );
  }
}
