import type { Socket } from 'node:net';
import { onAbort } from '../until.ts';

const EVENTS = ['readable', 'end', 'error', 'close'] as const;

/**
 * Reads so many bytes and no more, so that what follows a login stays in the socket for whoever
 * reads next. Its listeners stay on for the whole login: adding one for 'readable' while some
 * bytes are there emits the event at once, and a loop that did it per read would never rest.
 */
export class SocketReader implements Disposable {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #watch: Disposable;
  #happened = Promise.withResolvers<void>();
  readonly #wake = (): void => {
    this.#happened.resolve();
    this.#happened = Promise.withResolvers();
  };

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    for (const event of EVENTS) {
      socket.on(event, this.#wake);
    }
    this.#watch = onAbort(signal, this.#wake);
  }

  /**
   * @returns undefined if the peer closed before so many bytes.
   * @throws the reason of the signal.
   */
  async exactly(length: number): Promise<Buffer | undefined> {
    while (length > 0) {
      this.#signal.throwIfAborted();
      const happened = this.#happened.promise;
      const bytes: Buffer | null = this.#socket.read(length);
      if (bytes !== null) {
        // At the end of the stream `read` gives what is left, which may be less.
        return bytes.length === length ? bytes : undefined;
      }
      if (this.#socket.readableEnded || this.#socket.destroyed) {
        return undefined;
      }
      await happened;
    }
    return Buffer.alloc(0);
  }

  [Symbol.dispose](): void {
    for (const event of EVENTS) {
      this.#socket.off(event, this.#wake);
    }
    this.#watch[Symbol.dispose]();
  }
}
