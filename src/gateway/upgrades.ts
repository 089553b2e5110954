/**
 * The routes that are upgraded: the control channel of a session, a WebSocket, and its streams, each
 * a WebSocket or a raw carrier as the client asks. Everything is checked before the upgrade, so that
 * a refusal is an HTTP status with the usual error body.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { RawCarrier } from '../carrier/raw-carrier.ts';
import { encodeRawAccept, RAW_PROTOCOL } from '../carrier/raw-upgrade.ts';
import { RecordJoiner } from '../carrier/record-joiner.ts';
import type { StreamCarrier } from '../carrier/stream-carrier.ts';
import { WebSocketCarrier } from '../carrier/web-socket-carrier.ts';
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

interface Connection {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

type Accept = (connection: Connection) => void;

export class Upgrades {
  readonly #options: UpgradesOptions;
  readonly #server = new WebSocketServer(SERVER_OPTIONS);
  readonly #raw = new Set<RawCarrier>();

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
    // Until a carrier takes over, nobody else listens for errors of the socket.
    socket.on('error', destroy);
    this.#check(request).then(
      (accept) => {
        socket.off('error', destroy);
        accept({ request, socket, head });
      },
      (error: unknown) => {
        log.info('upgrade.refused', errorFields(error));
        this.#refuse({ request, socket, head }, error, requestId);
      },
    );
  }

  /** Cuts off what is left; the sessions have ended before. */
  close(): void {
    for (const connection of [...this.#server.clients, ...this.#raw]) {
      connection.terminate();
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
      return this.#webSocket((socket) => session.attachControl(socket));
    }
    const { stream, kind } = readStreamQuery(url.searchParams);
    session.checkStream(stream, kind);
    const open = (carrier: StreamCarrier): void => session.openStream(stream, kind, carrier);
    return isRaw(request)
      ? (connection) => open(this.#accept(connection))
      : this.#webSocket((socket) => open(new WebSocketCarrier(socket)));
  }

  #webSocket(use: (socket: WebSocket) => void): Accept {
    return ({ request, socket, head }) => this.#server.handleUpgrade(request, socket, head, use);
  }

  #accept({ socket, head }: Connection): RawCarrier {
    if (socket instanceof Socket) {
      // The timeouts of the HTTP server are over: a stream may be silent for as long as its session.
      socket.setTimeout(0).setNoDelay(true);
    }
    socket.write(encodeRawAccept());
    const joiner = new RecordJoiner((bytes) => carrier.receive(bytes));
    // Before the carrier's own listeners: the last bytes first, then the end.
    socket.on('end', () => joiner.deliver()).on('close', () => joiner.deliver());
    const carrier = new RawCarrier({ socket, endWithinMs: CLOSE_TIMEOUT_MS });
    this.#raw.add(carrier);
    socket.once('close', () => this.#raw.delete(carrier));
    if (head.length > 0) {
      socket.unshift(head);
    }
    socket.on('data', (record: Buffer) => joiner.add(record));
    return carrier;
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

  #refuse({ request, socket }: Connection, error: unknown, requestId: string): void {
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
      // So the client knows that it was we who refused, and not something on the way.
      ...(isRaw(request) ? { upgrade: RAW_PROTOCOL } : {}),
      ...refusal?.headers,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`, () => {
      socket.destroy();
    });
  }
}

function isRaw({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === RAW_PROTOCOL;
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
