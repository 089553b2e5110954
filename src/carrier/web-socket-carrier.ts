import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';
import type { CarrierEvents, StreamCarrier } from './stream-carrier.ts';

/** A message of no bytes: a WebSocket has no half-closed state of its own. */
const HALF_CLOSE = new Uint8Array(0);

/** The carrier that every HTTP proxy knows: data are binary messages, an end is a close frame. */
export class WebSocketCarrier extends EventEmitter<CarrierEvents> implements StreamCarrier {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.on('message', (data, isBinary) => {
      if (!isBinary || !Buffer.isBuffer(data)) {
        this.emit('unsupported');
      } else if (data.length > 0) {
        this.emit('data', data);
      } else {
        this.emit('halfClose');
      }
    });
    socket.on('close', (code) => this.emit('close', code));
    // 'close' follows and says what there is to say; a listener keeps it from being thrown.
    socket.on('error', () => socket.terminate());
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  get isClosed(): boolean {
    return this.#socket.readyState === this.#socket.CLOSED;
  }

  get isPaused(): boolean {
    return this.#socket.isPaused;
  }

  get unsentBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(parts: readonly Uint8Array[], done?: (error: Error | undefined) => void): void {
    const [first] = parts;
    const bytes = parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
    if (bytes.length === 0) {
      // It would be a half-close.
      done?.(undefined);
      return;
    }
    this.#socket.send(bytes, { binary: true, compress: false }, done);
  }

  halfClose(): void {
    if (this.isOpen) {
      this.#socket.send(HALF_CLOSE, { binary: true, compress: false });
    }
  }

  end(code: number): void {
    if (this.isOpen) {
      this.#socket.close(code);
    }
  }

  terminate(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
