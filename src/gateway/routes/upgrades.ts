/**
 * The routes that are upgraded: the control channel of a session, a WebSocket; a connection for its
 * streams; or a WebSocket for one of them, where nothing else gets through. Everything is checked
 * before the upgrade, so that a refusal is an HTTP status with the usual error body.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { ByteBudget } from '../../byte-budget.ts';
import { RecordJoiner } from '../../carrier/record-joiner.ts';
import {
  MORE_WINDOW_BYTES,
  StreamConnection,
  type StreamRequest,
} from '../../carrier/stream-connection.ts';
import { encodeStreamAccept, STREAM_PROTOCOL } from '../../carrier/stream-upgrade.ts';
import { WebSocketCarrier } from '../../carrier/web-socket-carrier.ts';
import { HoopError, ProtocolError } from '../../errors.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { onAbort } from '../../until.ts';
import { errorReply } from '../base/http-errors.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { Authenticated, Identity } from '../identity/identity.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { Sessions } from '../sessions/sessions.ts';

export interface UpgradesOptions {
  readonly identity: Identity;
  readonly sessions: Sessions;
  /** Of any session. */
  readonly streamKinds: readonly StreamKind[];
  readonly log: Log;
}

/** Larger messages close the socket with 1009. The client's own chunks are far smaller. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** How long the closing handshake may take: up bytes are recorded until then. */
const CLOSE_TIMEOUT_MS = 60_000;
const MAX_STREAM = 2 ** 32 - 1;
/** Refused streams of one connection that are worth a line of the log each. */
const MAX_REFUSALS_LOGGED = 100;
/** A client has one, and another when that has broken and nobody has noticed yet. */
const MAX_STREAM_CONNECTIONS = 16;
/** Windows of all sessions beyond their first. Who gets none has what short ways need. */
const ALL_WINDOW_BYTES = 256 * 1024 * 1024;
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
  readonly #connections = new Map<StreamConnection, LiveSession>();
  /** Of a session, however many connections it has: each would lend as much again. */
  readonly #windows = new WeakMap<LiveSession, ByteBudget>();
  readonly #allWindows = new ByteBudget(ALL_WINDOW_BYTES);

  constructor(options: UpgradesOptions) {
    this.#options = options;
  }

  /** Listener for the server's `upgrade` event. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const requestId = randomUUID();
    const from = request.socket.remoteAddress;
    const log = this.#options.log.with({ request: requestId, from });
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
    for (const connection of [...this.#server.clients, ...this.#connections.keys()]) {
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
    if (wantsStreams(request)) {
      session.checkLive();
      const open = [...this.#connections.values()].filter((other) => other === session).length;
      if (open >= MAX_STREAM_CONNECTIONS) {
        throw new HoopError(
          'HOOP_LIMIT',
          `the session already has ${open} connections for streams`,
        );
      }
      return (connection) => this.#accept(connection, session);
    }
    const query = url.searchParams;
    const stream = readStreamNumber(query);
    const kind = this.#readKind(query.get('kind'));
    session.checkStream(stream, kind);
    return this.#webSocket((socket) =>
      session.openStream(stream, kind, new WebSocketCarrier(socket)),
    );
  }

  #webSocket(use: (socket: WebSocket) => void): Accept {
    return ({ request, socket, head }) => this.#server.handleUpgrade(request, socket, head, use);
  }

  #accept({ socket, head }: Connection, session: LiveSession): void {
    if (socket instanceof Socket) {
      // The timeouts of the HTTP server are over: streams may be silent for as long as the session.
      socket.setTimeout(0).setNoDelay(true);
    }
    socket.write(encodeStreamAccept());
    const joiner = new RecordJoiner((bytes) => connection.receive(bytes));
    // Before the connection's own listeners: the last bytes first, then the end.
    socket.on('end', () => joiner.deliver()).on('close', () => joiner.deliver());
    let refusals = 0;
    const connection = new StreamConnection({
      socket,
      endWithinMs: CLOSE_TIMEOUT_MS,
      windows: this.#windowsOf(session),
      onOpen: (wanted) => {
        if (!this.#open(session, wanted, refusals < MAX_REFUSALS_LOGGED)) {
          refusals += 1;
        }
      },
    });
    this.#connections.set(connection, session);
    const watch = onAbort(session.over, () => connection.close());
    socket.once('close', () => {
      this.#connections.delete(connection);
      watch[Symbol.dispose]();
    });
    if (head.length > 0) {
      socket.unshift(head);
    }
    socket.on('data', (record: Buffer) => joiner.add(record));
  }

  #windowsOf(session: LiveSession): ByteBudget {
    let windows = this.#windows.get(session);
    if (windows === undefined) {
      windows = new ByteBudget(MORE_WINDOW_BYTES, this.#allWindows);
      this.#windows.set(session, windows);
    }
    return windows;
  }

  /** @returns it is open */
  #open(session: LiveSession, wanted: StreamRequest, logsRefusal: boolean): boolean {
    const { stream } = wanted;
    let kind: StreamKind;
    try {
      kind = this.#readKind(wanted.kind);
      session.checkStream(stream, kind);
    } catch (error) {
      const requestId = randomUUID();
      if (logsRefusal) {
        const fields = { request: requestId, stream, ...errorFields(error) };
        this.#options.log.info('stream.refused', fields);
      }
      const { status, body } = errorReply(error, requestId);
      wanted.refuse(Buffer.from(JSON.stringify({ status, body })));
      return false;
    }
    session.openStream(stream, kind, wanted.accept());
    return true;
  }

  #readKind(kind: string | null): StreamKind {
    const { streamKinds } = this.#options;
    const known = streamKinds.find((one) => one === kind);
    if (known === undefined) {
      throw new ProtocolError(`a stream is of one of the kinds ${streamKinds.join(', ')}`);
    }
    return known;
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
      ...(wantsStreams(request) ? { upgrade: STREAM_PROTOCOL } : {}),
      ...refusal?.headers,
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${text}`, () => {
      socket.destroy();
    });
  }
}

function wantsStreams({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === STREAM_PROTOCOL;
}

function readStreamNumber(query: URLSearchParams): number {
  const number = query.get('stream') ?? '';
  const stream = Number(number);
  if (!/^[1-9]\d{0,9}$/.test(number) || stream > MAX_STREAM) {
    throw new ProtocolError('a stream has a number from 1 to 4294967295');
  }
  return stream;
}
