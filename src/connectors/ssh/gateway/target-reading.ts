import type { Socket } from 'node:net';

/** What one server may have dealt with before others have their turn. */
const TURN_BYTES = 1024 * 1024;
/** What a message costs beside its bytes: the smallest have 36, and each may want an answer. */
const MESSAGE_BYTES = 2048;

/**
 * What a server sends, in turns of the event loop. Node reads up to 32 times in one, and ssh2 opens
 * all that was read: a server that floods would keep everybody else waiting for as long.
 */
export class TargetReading {
  readonly socket: Socket;
  /** Read, and not yet opened. */
  readonly #waiting: Buffer[] = [];
  #left = TURN_BYTES;
  #nextTurn: NodeJS.Immediate | undefined;
  #isPaused = false;
  /** Nothing is read from the socket. */
  #isHeld = false;
  #isDelivering = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** The turn is over: what is behind the message that was opened last comes in another one. */
  get isOver(): boolean {
    return this.#left <= 0;
  }

  /** The socket has been read. */
  received(bytes: Buffer): void {
    this.#nextTurn ??= setImmediate(() => this.#begin());
    this.#left -= bytes.length;
    this.#waiting.push(bytes);
    this.#deliver();
  }

  messageOpened(): void {
    this.#left -= MESSAGE_BYTES;
  }

  /** The rest of what was delivered last. */
  putBack(bytes: Buffer): void {
    this.#waiting.unshift(bytes);
  }

  /** Whoever it goes to takes no more. */
  pause(): void {
    this.#isPaused = true;
    this.#hold();
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  #begin(): void {
    this.#nextTurn = undefined;
    this.#left = TURN_BYTES;
    this.#deliver();
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (!this.isOver && !this.#isPaused && !this.socket.destroyed) {
        const bytes = this.#waiting.shift();
        if (bytes === undefined) break;
        this.socket.emit('data', bytes);
      }
    } finally {
      this.#isDelivering = false;
    }
    if (this.isOver) this.#nextTurn ??= setImmediate(() => this.#begin());
    this.#hold();
  }

  #hold(): void {
    const isHeld = this.isOver || this.#isPaused || this.#waiting.length > 0;
    if (isHeld !== this.#isHeld) {
      this.#isHeld = isHeld;
      if (isHeld) this.socket.pause();
      else this.socket.resume();
    }
  }
}
