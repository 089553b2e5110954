/**
 * Opens the streams of one session over the best carrier that gets through: the raw one, and once
 * that did not, WebSockets for the rest of the session.
 */
import type { StreamCarrier } from '../carrier/stream-carrier.ts';
import { WebSocketCarrier } from '../carrier/web-socket-carrier.ts';
import { parseRefusal } from './gateway-transport.ts';
import { openRawCarrier, type RawUpgrade, type UpgradeClient } from './open-raw-carrier.ts';
import { openWebSocket } from './open-web-socket.ts';

export type CarrierChoice = 'auto' | 'websocket';

export interface StreamOpenerOptions {
  readonly client: UpgradeClient;
  readonly choice: CarrierChoice;
  /** Once: the raw carrier did not get through, and why. */
  readonly onFallback: (because: string) => void;
  /** Milliseconds; for tests. */
  readonly answerWithinMs?: number;
}

export class StreamOpener {
  readonly #options: StreamOpenerOptions;
  #useWebSockets: boolean;
  #tlsSession: Buffer | undefined;

  constructor(options: StreamOpenerOptions) {
    this.#options = options;
    this.#useWebSockets = options.choice === 'websocket';
  }

  /**
   * @param path with the query that names the stream
   * @throws HoopError the gateway's own refusal, HOOP_UNREACHABLE, HOOP_GATEWAY_TLS
   */
  async open(path: string, signal: AbortSignal): Promise<StreamCarrier> {
    const { client, onFallback } = this.#options;
    if (this.#useWebSockets) {
      return new WebSocketCarrier(await openWebSocket(client, path, signal));
    }
    let upgrade = await this.#tryRaw(path, signal);
    if (upgrade.type === 'refused' && client.upgradeRefused(upgrade.status, upgrade.headers)) {
      upgrade = await this.#tryRaw(path, signal);
    }
    if (upgrade.type === 'open') {
      return upgrade.carrier;
    }
    if (upgrade.type === 'refused') {
      throw parseRefusal(upgrade.status, upgrade.body);
    }
    // What refused it may refuse everything: only a WebSocket that opens says that it was this.
    const socket = await openWebSocket(client, path, signal);
    if (!this.#useWebSockets) {
      this.#useWebSockets = true;
      onFallback(upgrade.because);
    }
    return new WebSocketCarrier(socket);
  }

  #tryRaw(path: string, signal: AbortSignal): Promise<RawUpgrade> {
    const { client, answerWithinMs } = this.#options;
    const onTlsSession = (session: Buffer): void => {
      this.#tlsSession = session;
    };
    const tlsSession = this.#tlsSession;
    return openRawCarrier({ client, path, tlsSession, onTlsSession, answerWithinMs }, signal);
  }
}
