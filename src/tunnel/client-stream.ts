/**
 * One stream of the session as the local port sees it: a Duplex over its carrier. What is written
 * is recorded before it is sent, what is read before the local client gets it, each together with
 * what else the turn of the event loop brings.
 */
import { Duplex } from 'node:stream';
import { END_CODE, isOrderlyEnd, type StreamCarrier } from '../carrier/stream-carrier.ts';
import { HoopError } from '../errors.ts';
import { bytesPassed } from '../passing-buffers.ts';
import { type Direction, DOWN, UP } from '../recording/types.ts';

/** What the stream needs of the client's side of the recording. */
export interface ClientStreamRecording {
  /** Throws when the journal cannot be written any more. */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void;
  /** write(2) of everything before has returned when this returns. Throws as `data`. */
  flush(): void;
  /** Calls back when it has returned, at the end of this turn of the event loop or before. */
  whenWritten(forward: () => void): void;
}

export interface ClientStreamOptions {
  readonly carrier: StreamCarrier;
  readonly stream: number;
  readonly recording: ClientStreamRecording;
  /** Why the tunnel broke, when the session knows. */
  readonly reason: () => HoopError | undefined;
}

const READ_BUFFER_BYTES = 512 * 1024;
/** Bytes handed to the carrier and not sent yet, from which on a write waits for it. */
const SEND_BUFFER_BYTES = 256 * 1024;
/** The gateway closes a stream with messages above 1 MiB. */
const MAX_MESSAGE_BYTES = 512 * 1024;

/** What is shorter is copied together: parts of a few bytes cost more than the copy. */
const LEAST_IN_PARTS = 16 * 1024;

const NOTHING = new Uint8Array(0);

type Done = (error?: Error | null) => void;

export class ClientStream extends Duplex {
  readonly #options: ClientStreamOptions;
  /** Bytes up that leave, and bytes down that are given on, when they are recorded. */
  #unwritten = 0;
  #unread = 0;

  constructor(options: ClientStreamOptions) {
    super({
      readableHighWaterMark: READ_BUFFER_BYTES,
      writableHighWaterMark: SEND_BUFFER_BYTES,
      allowHalfOpen: true,
    });
    this.#options = options;
    options.carrier
      .on('data', (bytes) => this.#received(bytes))
      .on('unsupported', () =>
        this.destroy(new HoopError('HOOP_PROTOCOL', 'the gateway sent text on a data stream')),
      )
      .on('close', (code) => this.#closed(code));
  }

  override _read(): void {
    this.#options.carrier.resume();
  }

  /** The local client does not read, and so nothing is read from the gateway. */
  get isStanding(): boolean {
    return this.#options.carrier.isPaused;
  }

  /** The local client has closed its half and still reads. `end` has to follow some time. */
  halfClose(): void {
    // As a write of nothing, it comes after all that was written before.
    this.write(NOTHING, () => {
      this.#flush();
      this.#guarded(() => this.#options.carrier.halfClose());
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
        this.#send([part], part.length, isLast ? done : undefined);
      }
    } catch (error) {
      done(error instanceof Error ? error : new Error('the recording stopped'));
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
      this.#send(parts, length, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error('the recording stopped'));
    }
  }

  /** @param done called when more may come: at once, or when the carrier has caught up. */
  #send(parts: readonly Buffer[], length: number, done: Done | undefined): void {
    const { carrier, recording, stream } = this.#options;
    if (!carrier.isOpen) {
      // The gateway has closed, or the connection broke: `#closed` is about to tell which. As with
      // a server that has closed, what comes too late for it is lost, and not an error by itself.
      done?.();
      return;
    }
    recording.data(stream, UP, parts);
    bytesPassed(length);
    this.#unwritten += length;
    const hasRoom = carrier.unsentBytes + this.#unwritten < SEND_BUFFER_BYTES;
    recording.whenWritten(() => {
      this.#unwritten -= length;
      this.#guarded(() =>
        carrier.send(parts, hasRoom ? undefined : (error) => done?.(error ?? null)),
      );
    });
    if (hasRoom) {
      done?.();
    }
  }

  /** No more from us; what the gateway still sends comes until it closes as well. */
  override _final(done: (error?: Error | null) => void): void {
    this.#flush();
    this.#options.carrier.end(END_CODE.normal);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { carrier } = this.#options;
    this.#flush();
    carrier.end(END_CODE.normal);
    // Paused, it would never see the answer to its end.
    carrier.resume();
    done(error);
  }

  #received(data: Buffer): void {
    const { carrier, recording, stream } = this.#options;
    try {
      recording.data(stream, DOWN, [data]);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('the recording stopped'));
      return;
    }
    bytesPassed(data.length);
    this.#unread += data.length;
    recording.whenWritten(() => {
      this.#unread -= data.length;
      this.#guarded(() => {
        if (!this.destroyed && !this.push(data)) {
          carrier.pause();
        }
      });
    });
  }

  /** A fault of ours, where nobody could catch it, ends this stream: not the session, nor the process. */
  #guarded(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.destroy(
        new HoopError('HOOP_INTERNAL', 'what was recorded could not be passed on', { cause }),
      );
    }
  }

  /** What waits for the recording goes on now; what cannot be recorded does not. */
  #flush(): void {
    if (this.#unwritten + this.#unread === 0) {
      return;
    }
    try {
      this.#options.recording.flush();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('the recording stopped'));
    }
  }

  #closed(code: number): void {
    this.#flush();
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
      this.#options.reason() ??
      new HoopError('HOOP_UNREACHABLE', 'the connection to the gateway was lost', {
        hint: 'Start the session again with `hoop connect`.',
      })
    );
  }
}
