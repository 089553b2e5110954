/**
 * The control channel, the client's end: text messages are signalling, binary ones the bytes of
 * stream 0, which are evidence and go into the recording as they are.
 */
import type { WebSocket } from 'ws';
import { type ToClient, ToClient as ToClientSchema, type ToGateway } from '../api/control.ts';
import { AwakeTimer } from '../awake-timer.ts';
import { ProtocolError } from '../errors.ts';

export interface ControlChannelEvents {
  readonly onMessage: (message: ToClient) => void;
  readonly onEvidence: (bytes: Uint8Array) => void;
  /** Called once, when nothing can be said any more and `close` was not called. */
  readonly onLost: (error: Error | undefined) => void;
}

/** The gateway pings every 15 s: three in a row that do not come are a partition. */
const SILENCE_MS = 45_000;
/** Of these the first has not come. */
const LATE_PING_MS = 20_000;

export class ControlChannel {
  readonly #socket: WebSocket;
  readonly #events: ControlChannelEvents;
  readonly #silence: AwakeTimer;
  #heardAt = performance.now();
  #over = false;

  constructor(socket: WebSocket, events: ControlChannelEvents, silenceMs = SILENCE_MS) {
    this.#socket = socket;
    this.#events = events;
    this.#silence = new AwakeTimer(silenceMs, () => {
      this.#lose(undefined);
      this.#socket.terminate();
    });
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('ping', () => this.#heard());
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#lose(undefined));
    socket.resume();
  }

  /** A ping that was due has not come. */
  get isSilent(): boolean {
    return performance.now() - this.#heardAt > LATE_PING_MS;
  }

  send(message: ToGateway): void {
    if (this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  /** Bytes of stream 0, recorded already. @returns false: nothing can be said any more. */
  sendEvidence(bytes: Uint8Array): boolean {
    const isOpen = this.#socket.readyState === this.#socket.OPEN;
    if (isOpen) {
      this.#socket.send(bytes, { binary: true, compress: false });
    }
    return isOpen;
  }

  close(): void {
    this.#over = true;
    this.#silence[Symbol.dispose]();
    this.#socket.close(1000);
  }

  #heard(): void {
    this.#heardAt = performance.now();
    this.#silence.restart();
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    // Closed by us: what was on its way has no recording any more to go into.
    if (this.#over) {
      return;
    }
    this.#heard();
    if (!Buffer.isBuffer(data)) {
      return;
    }
    if (isBinary) {
      this.#events.onEvidence(data);
      return;
    }
    let message: ToClient;
    try {
      message = ToClientSchema.parse(JSON.parse(data.toString('utf8')));
    } catch (cause) {
      this.#lose(new ProtocolError('a control message cannot be understood', { cause }));
      this.#socket.terminate();
      return;
    }
    this.#events.onMessage(message);
  }

  #lose(error: Error | undefined): void {
    this.#silence[Symbol.dispose]();
    if (!this.#over) {
      this.#over = true;
      this.#events.onLost(error);
    }
  }
}
