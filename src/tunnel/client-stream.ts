/**
 * One stream of the session as the local port sees it: a Duplex over a WebSocket. What is written
 * is recorded as sent, what is read is recorded before the local client gets it.
 */
import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { HoopError } from '../errors.ts';
import { bytesPassed } from '../passing-buffers.ts';
import type { Direction } from '../recording/types.ts';

export interface ClientStreamOptions {
  readonly socket: WebSocket;
  /** Appends to the client's own recording; throws when it cannot be written. */
  readonly record: (direction: Direction, bytes: Uint8Array) => void;
  /** Why the tunnel broke, when the session knows. */
  readonly reason: () => HoopError | undefined;
}

const UP = 0;
const DOWN = 1;
const READ_BUFFER_BYTES = 256 * 1024;
/** Bytes handed to the socket and not sent yet, from which on a write waits for the socket. */
const SEND_BUFFER_BYTES = 256 * 1024;
/** The gateway closes a stream with messages above 1 MiB. */
const MAX_MESSAGE_BYTES = 512 * 1024;

export class ClientStream extends Duplex {
  readonly #options: ClientStreamOptions;

  constructor(options: ClientStreamOptions) {
    super({
      readableHighWaterMark: READ_BUFFER_BYTES,
      writableHighWaterMark: SEND_BUFFER_BYTES,
      allowHalfOpen: true,
    });
    this.#options = options;
    const { socket } = options;
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('close', (code) => this.#closed(code));
    // 'close' follows and says what there is to say.
    socket.on('error', () => socket.terminate());
  }

  override _read(): void {
    this.#options.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      for (let at = 0; at < chunk.length; at += MAX_MESSAGE_BYTES) {
        const isLast = at + MAX_MESSAGE_BYTES >= chunk.length;
        this.#send(chunk.subarray(at, at + MAX_MESSAGE_BYTES), isLast ? done : undefined);
      }
    } catch (error) {
      done(error instanceof Error ? error : new Error('the recording stopped'));
    }
  }

  /** @param done called when more may come: at once, or when the socket has caught up. */
  #send(part: Buffer, done: ((error?: Error | null) => void) | undefined): void {
    const { socket, record } = this.#options;
    if (socket.readyState !== socket.OPEN) {
      throw this.#broken();
    }
    record(UP, part);
    bytesPassed(part.length);
    if (socket.bufferedAmount + part.length < SEND_BUFFER_BYTES) {
      socket.send(part, { binary: true, compress: false });
      done?.();
    } else {
      socket.send(part, { binary: true, compress: false }, (error) => done?.(error ?? null));
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
    this.#options.socket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { socket } = this.#options;
    socket.close(1000);
    // Paused, it would never see the answer to its close frame.
    socket.resume();
    done(error);
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    if (!isBinary || !Buffer.isBuffer(data)) {
      this.destroy(new HoopError('HOOP_PROTOCOL', 'the gateway sent text on a data stream'));
      return;
    }
    try {
      this.#options.record(DOWN, data);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error('the recording stopped'));
      return;
    }
    bytesPassed(data.length);
    if (!this.destroyed && !this.push(data)) {
      this.#options.socket.pause();
    }
  }

  #closed(code: number): void {
    if (this.destroyed) {
      return;
    }
    if (code === 1000 || code === 1005) {
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
