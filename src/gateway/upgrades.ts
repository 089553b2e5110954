/**
 * The WebSocket routes: the control channel of a session and its streams. Everything is checked
 * before the upgrade, so that a refusal is an HTTP status with the usual error body.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { HoopError, ProtocolError } from '../errors.ts';
import { errorReply } from './http-errors.ts';
import type { Authenticated, Identity } from './identity/identity.ts';
import { errorFields, type Log } from './log.ts';
import type { Sessions } from './sessions.ts';

export interface UpgradesOptions {
  readonly identity: Identity;
  readonly sessions: Sessions;
  readonly log: Log;
}

/** Larger messages close the socket with 1009. The client's own chunks are far smaller. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** How long the closing handshake may take: up bytes are recorded until then. */
const CLOSE_TIMEOUT_MS = 60_000;
const MAX_STREAM = 2 ** 32 - 1;
const ROUTE = /^\/v1\/sessions\/([^/]+)\/(control|streams)$/;

/** Not a literal in the call: the published types lack closeTimeout. */
const SERVER_OPTIONS = {
  noServer: true,
  clientTracking: true,
  perMessageDeflate: false,
  maxPayload: MAX_MESSAGE_BYTES,
  closeTimeout: CLOSE_TIMEOUT_MS,
} as const;

type Accept = (socket: WebSocket) => void;

export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #server = new WebSocketServer(SERVER_OPTIONS);

  constructor(options: UpgradesOptions) {
    this.#options = options;
  }

  /** Listener for the server's `upgrade` event. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const requestId = randomUUID();
    const log = this.#options.log.with({ request: requestId });
    const destroy = (): void => {
      socket.destroy();
    };
    // Until ws takes over, nobody else listens for errors of the socket.
    socket.on('error', destroy);
    this.#check(request).then(
      (accept) => {
        socket.off('error', destroy);
        this.#server.handleUpgrade(request, socket, head, accept);
      },
      (error: unknown) => {
        log.info('upgrade.refused', errorFields(error));
        this.#refuse(socket, error, requestId);
      },
    );
  }

  /** Cuts off what is left; the sessions have ended before. */
  close(): void {
    for (const socket of this.#server.clients) {
      socket.terminate();
    }
    this.#server.close();
  }

  async #check(request: IncomingMessage): Promise<Accept> {
    const url = URL.parse(request.url ?? '/', 'https://gateway.invalid');
    const [, id = '', what] = ROUTE.exec(url?.pathname ?? '') ?? [];
    if (url === null || what === undefined) {
      throw new HoopError('HOOP_GATEWAY_REFUSED', 'the gateway has no such WebSocket');
    }
    const who = await this.#authenticate(request, url.pathname);
    const session = this.#options.sessions.ownedBy(who, id);
    if (what === 'control') {
      session.checkControl();
      return (socket) => session.attachControl(socket);
    }
    const { stream, kind } = readStreamQuery(url.searchParams);
    session.checkStream(stream, kind);
    return (socket) => session.openStream(stream, kind, socket);
  }

  #authenticate(request: IncomingMessage, pathname: string): Promise<Authenticated> {
    const { dpop } = request.headers;
    return this.#options.identity.authenticate({
      method: request.method ?? 'GET',
      url: pathname,
      authorization: request.headers.authorization,
      dpop: Array.isArray(dpop) ? dpop.join(', ') : dpop,
    });
  }

  #refuse(socket: Duplex, error: unknown, requestId: string): void {
    const refusal = this.#options.identity.refusal(error);
    const { status, body } = refusal ?? errorReply(error, requestId);
    const text = JSON.stringify(body);
    const headers = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(text)),
      connection: 'close',
      'cache-control': 'no-store',
      'dpop-nonce': this.#options.identity.nonceHeader(),
      'x-request-id': requestId,
      ...refusal?.headers,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`, () => {
      socket.destroy();
    });
  }
}

function readStreamQuery(query: URLSearchParams): { stream: number; kind: 'postgres' | 'cancel' } {
  const number = query.get('stream') ?? '';
  const kind = query.get('kind');
  const stream = Number(number);
  if (!/^[1-9]\d{0,9}$/.test(number) || stream > MAX_STREAM) {
    throw new ProtocolError('a stream has a number from 1 to 4294967295');
  }
  if (kind !== 'postgres' && kind !== 'cancel') {
    throw new ProtocolError('a stream is of kind postgres or cancel');
  }
  return { stream, kind };
}
