/**
 * The control channel, the client's end: text messages are signalling, binary ones the bytes of
 * stream 0, which are evidence and go into the recording as they are.
 */
import type { WebSocket } from 'ws';
import { ProtocolError } from '../errors.ts';
import { type ToClient, ToClient as ToClientSchema, type ToGateway } from './api.ts';

export interface ControlChannelEvents {
  readonly onMessage: (message: ToClient) => void;
  readonly onEvidence: (bytes: Uint8Array) => void;
  /** Called once, when nothing can be said any more and `close` was not called. */
  readonly onLost: (error: Error | undefined) => void;
}

/** The gateway pings every 15 s: three in a row that do not come are a partition. */
const SILENCE_MS = 45_000;
const CHECK_EVERY_MS = 5_000;

export class ControlChannel {
  readonly #socket: WebSocket;
  readonly #events: ControlChannelEvents;
  readonly #timer: NodeJS.Timeout;
  #heardAt = performance.now();
  #over = false;

  constructor(socket: WebSocket, events: ControlChannelEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#timer = setInterval(() => this.#checkSilence(), CHECK_EVERY_MS);
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('ping', () => {
      this.#heardAt = performance.now();
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#lose(undefined));
    socket.resume();
  }

  send(message: ToGateway): void {
    if (this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  close(): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.#socket.close(1000);
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    this.#heardAt = performance.now();
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

  #checkSilence(): void {
    if (performance.now() - this.#heardAt > SILENCE_MS) {
      this.#lose(undefined);
      this.#socket.terminate();
    }
  }

  #lose(error: Error | undefined): void {
    clearInterval(this.#timer);
    if (!this.#over) {
      this.#over = true;
      this.#events.onLost(error);
    }
  }
}
