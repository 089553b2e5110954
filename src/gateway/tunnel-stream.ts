/**
 * One stream of a session as the engine sees it: a Duplex over the WebSocket, with the recording
 * in between. What is read has been given to the recording, which whoever forwards it flushes
 * before; what is written is recorded before it leaves.
 */
import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { bytesPassed } from '../passing-buffers.ts';
import type { Direction } from '../recording/types.ts';

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
  readonly socket: WebSocket;
  readonly stream: number;
  readonly recording: StreamRecording;
  /** A byte came from the client. */
  readonly onActivity: () => void;
  /** The recording refused bytes: the session cannot go on. */
  readonly onRecordingFault: (error: unknown) => void;
}

const UP = 0;
const DOWN = 1;
/** Bytes handed to the socket and not sent yet, from which on a write waits for the socket. */
const SEND_BUFFER_BYTES = 256 * 1024;
const READ_BUFFER_BYTES = 256 * 1024;

export class TunnelStream extends Duplex {
  readonly #options: TunnelStreamOptions;
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
    const { socket } = options;
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('close', (code) => this.#closed(code));
    // 'close' follows and says what there is to say; a listener keeps it from being thrown.
    socket.on('error', () => socket.terminate());
  }

  override _read(): void {
    if (this.#paused && !this.#held) {
      this.#paused = false;
      this.#options.socket.resume();
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
    this.#closeSocket(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Destroyed by the engine in mid-flight or after the end: either way the peer is told, and what
    // it still sends is recorded until it has answered.
    this.#closeSocket(error ? 1011 : 1000);
    done(error);
  }

  #send(chunk: Buffer, done: (error?: Error | null) => void): void {
    const { socket, recording, stream } = this.#options;
    if (socket.readyState !== socket.OPEN) {
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
    if (socket.bufferedAmount + chunk.length < SEND_BUFFER_BYTES) {
      socket.send(chunk, { binary: true, compress: false });
      done();
    } else {
      socket.send(chunk, { binary: true, compress: false }, (error) => done(error ?? null));
    }
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    const { socket, recording, stream } = this.#options;
    if (!isBinary || !Buffer.isBuffer(data)) {
      socket.close(1003, 'binary messages only');
      this.destroy(new Error('the client sent a text message on a data stream'));
      return;
    }
    if (data.length === 0) {
      return;
    }
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
      socket.pause();
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
    this.#options.socket.pause();
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

  #closed(code: number): void {
    if (this.destroyed) {
      return;
    }
    if (code === 1000 || code === 1005) {
      this.#finished = true;
      this.push(null);
    } else {
      this.destroy(new Error(`the tunnel stream broke (${code})`));
    }
  }

  #closeSocket(code: number): void {
    const { socket } = this.#options;
    if (socket.readyState === socket.OPEN || socket.readyState === socket.CONNECTING) {
      socket.close(code);
    }
    if (socket.readyState !== socket.CLOSED) {
      // Paused, it would never see the answer to its close frame.
      this.#paused = false;
      this.#held = false;
      socket.resume();
    }
  }
}
