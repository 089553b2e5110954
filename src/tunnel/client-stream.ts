/**
 * One stream of the session as the local port sees it: a Duplex over its carrier. What is written
 * is recorded as sent, what is read is recorded before the local client gets it.
 */
import { Duplex } from 'node:stream';
import { END_CODE, isOrderlyEnd, type StreamCarrier } from '../carrier/stream-carrier.ts';
import { HoopError } from '../errors.ts';
import { bytesPassed } from '../passing-buffers.ts';
import { type Direction, DOWN, UP } from '../recording/types.ts';

export interface ClientStreamOptions {
  readonly carrier: StreamCarrier;
  /** Appends to the client's own recording; throws when it cannot be written. */
  readonly record: (direction: Direction, bytes: Uint8Array) => void;
  /** Why the tunnel broke, when the session knows. */
  readonly reason: () => HoopError | undefined;
}

const READ_BUFFER_BYTES = 256 * 1024;
/** Bytes handed to the carrier and not sent yet, from which on a write waits for it. */
const SEND_BUFFER_BYTES = 256 * 1024;
/** The gateway closes a stream with messages above 1 MiB. */
const MAX_MESSAGE_BYTES = 512 * 1024;

const NOTHING = new Uint8Array(0);

export class ClientStream extends Duplex {
  readonly #options: ClientStreamOptions;

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

  /** The local client has closed its half and still reads. `end` has to follow some time. */
  halfClose(): void {
    // As a write of nothing, it comes after all that was written before.
    this.write(NOTHING, () => this.#options.carrier.halfClose());
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (chunk.length === 0) {
      done();
      return;
    }
    try {
      for (let at = 0; at < chunk.length; at += MAX_MESSAGE_BYTES) {
        const isLast = at + MAX_MESSAGE_BYTES >= chunk.length;
        this.#send(chunk.subarray(at, at + MAX_MESSAGE_BYTES), isLast ? done : undefined);
      }
    } catch (error) {
      done(error instanceof Error ? error : new Error('the recording stopped'));
    }
  }

  /** @param done called when more may come: at once, or when the carrier has caught up. */
  #send(part: Buffer, done: ((error?: Error | null) => void) | undefined): void {
    const { carrier, record } = this.#options;
    if (!carrier.isOpen) {
      // The gateway has closed, or the connection broke: `#closed` is about to tell which. As with
      // a server that has closed, what comes too late for it is lost, and not an error by itself.
      done?.();
      return;
    }
    record(UP, part);
    bytesPassed(part.length);
    if (carrier.unsentBytes + part.length < SEND_BUFFER_BYTES) {
      carrier.send(part);
      done?.();
    } else {
      carrier.send(part, (error) => done?.(error ?? null));
    }
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: string }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', done);
  }

  /** No more from us; what the gateway still sends comes until it closes as well. */
  override _final(done: (error?: Error | null) => void): void {
    this.#options.carrier.end(END_CODE.normal);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { carrier } = this.#options;
    carrier.end(END_CODE.normal);
    // Paused, it would never see the answer to its end.
    carrier.resume();
    done(error);
  }

  #received(data: Buffer): void {
    try {
      this.#options.record(DOWN, data);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('the recording stopped'));
      return;
    }
    bytesPassed(data.length);
    if (!this.destroyed && !this.push(data)) {
      this.#options.carrier.pause();
    }
  }

  #closed(code: number): void {
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
