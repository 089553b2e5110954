/**
 * The control channel of one session, the gateway's end. Text messages are signalling; binary ones
 * are the bytes of stream 0. Says when the client is gone: closed, or silent over two pings.
 */
import type { WebSocket } from 'ws';
import { type ToClient, ToGateway } from '../../api/control.ts';
import { ProtocolError } from '../../errors.ts';
import { parseJson } from '../http/http-body.ts';

export interface ControlEvents {
  readonly onMessage: (message: ToGateway) => void;
  /** Bytes of stream 0 from the client. */
  readonly onEvidence: (bytes: Uint8Array) => void;
  readonly onProtocolError: (error: ProtocolError) => void;
  /** Called once; nothing can be sent from then on. */
  readonly onLost: (how: 'closed' | 'silent') => void;
}

/** With two misses a partition is noticed within 45 s. */
const PING_EVERY_MS = 15_000;
const MAX_MISSED_PINGS = 2;
/** A client that does not read its control channel at all is as good as gone. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

export class SessionControl {
  readonly #socket: WebSocket;
  readonly #events: ControlEvents;
  readonly #ping: NodeJS.Timeout;
  #missed = 0;
  #lost = false;

  constructor(socket: WebSocket, events: ControlEvents, pingEveryMs = PING_EVERY_MS) {
    this.#socket = socket;
    this.#events = events;
    this.#ping = setInterval(() => this.#pingOrGiveUp(), pingEveryMs);
    socket.on('message', (data, isBinary) => this.#received(data, isBinary));
    socket.on('pong', () => {
      this.#missed = 0;
    });
    socket.on('close', () => this.#lose('closed'));
    socket.on('error', () => socket.terminate());
  }

  /** A ping has no answer yet, and nothing else came behind it. */
  get isSilent(): boolean {
    return this.#missed > 0;
  }

  send(message: ToClient): void {
    this.#transmit(JSON.stringify(message));
  }

  /** Bytes of stream 0, recorded already. */
  sendEvidence(bytes: Uint8Array): void {
    this.#transmit(bytes);
  }

  /** Closes after what was sent; the client answers. */
  close(): void {
    this.#lost = true;
    clearInterval(this.#ping);
    this.#socket.close(1000);
  }

  terminate(): void {
    this.#lose('closed');
    this.#socket.terminate();
  }

  #transmit(data: string | Uint8Array): void {
    if (this.#lost || this.#socket.readyState !== this.#socket.OPEN) {
      return;
    }
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#lose('silent');
      this.#socket.terminate();
      return;
    }
    this.#socket.send(data, { binary: typeof data !== 'string', compress: false });
  }

  #received(data: WebSocket.RawData, isBinary: boolean): void {
    this.#missed = 0;
    if (!Buffer.isBuffer(data) || this.#lost) {
      return;
    }
    if (isBinary) {
      this.#events.onEvidence(data);
      return;
    }
    let message: ToGateway;
    try {
      // ws has checked that a text message is valid UTF-8.
      message = parseJson(data.toString('utf8'), ToGateway);
    } catch (error) {
      this.#events.onProtocolError(
        error instanceof ProtocolError ? error : new ProtocolError('bad control message'),
      );
      return;
    }
    this.#events.onMessage(message);
  }

  #pingOrGiveUp(): void {
    if (this.#missed >= MAX_MISSED_PINGS) {
      this.#lose('silent');
      this.#socket.terminate();
      return;
    }
    this.#missed += 1;
    this.#socket.ping();
  }

  #lose(how: 'closed' | 'silent'): void {
    if (!this.#lost) {
      this.#lost = true;
      clearInterval(this.#ping);
      this.#events.onLost(how);
    }
  }
}
