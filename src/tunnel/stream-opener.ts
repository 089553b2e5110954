/**
 * Opens the streams of one session: all on one connection, and where that does not get through, each
 * on a WebSocket of its own.
 */

import { PATHS } from '../api/http.ts';
import type { StreamCarrier } from '../carrier/stream-carrier.ts';
import { type StreamConnection, StreamRefused } from '../carrier/stream-connection.ts';
import { WebSocketCarrier } from '../carrier/web-socket-carrier.ts';
import { parseRefusal, parseStreamRefusal } from '../client/gateway-transport.ts';
import { HoopError } from '../errors.ts';
import { untilAborted } from '../until.ts';
import {
  openStreamConnection,
  type StreamUpgrade,
  type UpgradeClient,
} from './open-stream-connection.ts';
import { openWebSocket } from './open-web-socket.ts';

export type CarrierChoice = 'auto' | 'websocket';

export interface StreamOpenerOptions {
  readonly client: UpgradeClient;
  readonly session: string;
  readonly choice: CarrierChoice;
  /** Once: the connection for streams did not get through, and why. */
  readonly onFallback: (because: string) => void;
  /** Milliseconds; for tests. */
  readonly answerWithinMs?: number;
}

type Opened = Exclude<StreamUpgrade, { type: 'refused' }>;

export class StreamOpener {
  readonly #options: StreamOpenerOptions;
  readonly #closed = new AbortController();
  #useWebSockets: boolean;
  #connection: Promise<Opened> | undefined;

  constructor(options: StreamOpenerOptions) {
    this.#options = options;
    this.#useWebSockets = options.choice === 'websocket';
  }

  /** Connects ahead of the first stream; what fails is said to whoever opens one. */
  prepare(): void {
    if (!this.#useWebSockets) {
      this.#connect().catch(() => undefined);
    }
  }

  /** @throws HoopError the gateway's own refusal, HOOP_UNREACHABLE, HOOP_GATEWAY_TLS */
  async open(stream: number, kind: string, signal: AbortSignal): Promise<StreamCarrier> {
    if (this.#useWebSockets) {
      return this.#openWebSocket(stream, kind, signal);
    }
    const opened = await untilAborted(this.#connect(), signal);
    if (opened.type === 'open') {
      return openOn(opened.connection, stream, kind, signal);
    }
    // What refused it may refuse everything: only a WebSocket that opens says that it was this.
    try {
      const carrier = await this.#openWebSocket(stream, kind, signal);
      if (!this.#useWebSockets) {
        this.#useWebSockets = true;
        this.#options.onFallback(opened.because);
      }
      return carrier;
    } catch (error) {
      this.#connection = undefined;
      throw error;
    }
  }

  /** After the session: what was sent is out, nothing more comes. */
  close(): void {
    this.#closed.abort(new HoopError('HOOP_SESSION_ENDED', 'the session has ended'));
    this.#connection?.then(
      (opened) => {
        if (opened.type === 'open') {
          opened.connection.close();
        }
      },
      // Said to whoever wanted a stream.
      () => undefined,
    );
  }

  /** The connection that there is or is being made; a new one when that has been lost. */
  #connect(): Promise<Opened> {
    if (this.#connection === undefined) {
      const connection = this.#tryConnect();
      const forget = (): void => {
        if (this.#connection === connection) {
          this.#connection = undefined;
        }
      };
      this.#connection = connection;
      connection.then(
        (opened) => opened.type === 'open' && opened.connection.onceLost(forget),
        forget,
      );
    }
    return this.#connection;
  }

  async #tryConnect(): Promise<Opened> {
    const { client } = this.#options;
    let upgrade = await this.#upgrade();
    if (upgrade.type === 'refused' && client.upgradeRefused(upgrade.status, upgrade.headers)) {
      upgrade = await this.#upgrade();
    }
    if (upgrade.type === 'refused') {
      throw parseRefusal(upgrade.status, upgrade.body);
    }
    return upgrade;
  }

  #upgrade(): Promise<StreamUpgrade> {
    const { client, session, answerWithinMs } = this.#options;
    const path = PATHS.streams(session);
    return openStreamConnection({ client, path, answerWithinMs }, this.#closed.signal);
  }

  async #openWebSocket(stream: number, kind: string, signal: AbortSignal): Promise<StreamCarrier> {
    const { client, session } = this.#options;
    const path = `${PATHS.streams(session)}?stream=${stream}&kind=${kind}`;
    return new WebSocketCarrier(await openWebSocket(client, path, signal));
  }
}

async function openOn(
  connection: StreamConnection,
  stream: number,
  kind: string,
  signal: AbortSignal,
): Promise<StreamCarrier> {
  try {
    return await connection.open(stream, kind, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StreamRefused) {
      throw parseStreamRefusal(error.why);
    }
    throw new HoopError('HOOP_UNREACHABLE', 'the connection to the gateway was lost', {
      hint: 'Connect again; if that fails too, start the session again with `hoop connect NAME`.',
      cause: error,
    });
  }
}
