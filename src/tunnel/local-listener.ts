/**
 * The address of the local port, taken before the gateway is asked for a session: what cannot be
 * listened on must not leave a session behind. Who connects before it is served waits.
 */
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';
import { openPeerTables } from './local-peer.ts';

export type ListenOn =
  | { readonly type: 'tcp' /** 0: any free port. */; readonly port: number }
  | { readonly type: 'unix' /** 0700, the owner's. */; readonly directory: string };

const LOOPBACK = '127.0.0.1';
/** libpq looks for `.s.PGSQL.<port>` in the directory that it is given as host. */
const SOCKET_PORT = 5432;
const MAX_CONNECTIONS = 1024;
/** A session is there within seconds; nobody but its owner's programs has a reason to wait. */
const MAX_WAITING = 128;

export class LocalListener {
  /** As libpq takes it: an address, or the directory of the socket. */
  readonly host: string;
  /** It listens in another network namespace, where this process sees nobody else's sockets. */
  readonly isElsewhere: boolean;
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  #port = SOCKET_PORT;
  #accept: ((socket: Socket) => void) | undefined;

  private constructor(host: string, isElsewhere = false) {
    this.host = host;
    this.isElsewhere = isElsewhere;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#connected(socket);
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** @throws HoopError HOOP_LOCAL_PORT when the port is taken, or is not ours to take. */
  static async open(listen: ListenOn): Promise<LocalListener> {
    const listener = new LocalListener(listen.type === 'tcp' ? LOOPBACK : listen.directory);
    const server = listener.#server;
    try {
      if (listen.type === 'tcp') {
        openPeerTables();
      }
      server.listen(
        listen.type === 'tcp'
          ? { host: LOOPBACK, port: listen.port, exclusive: true }
          : { path: join(listen.directory, `.s.PGSQL.${SOCKET_PORT}`) },
      );
      await once(server, 'listening');
      if (listen.type === 'unix') {
        // Its 0700 directory is the gate; Node makes the socket with what the umask leaves.
        chmodSync(join(listen.directory, `.s.PGSQL.${SOCKET_PORT}`), 0o600);
      }
    } catch (cause) {
      throw cannotListen(listen, cause);
    }
    listener.#takePort();
    return listener;
  }

  /** @param from listens on loopback already, in the network of a fenced child. */
  static async adopt(from: Server): Promise<LocalListener> {
    const listener = new LocalListener(LOOPBACK, true);
    listener.#server.listen(from);
    if (!listener.#server.listening) {
      await once(listener.#server, 'listening');
    }
    listener.#takePort();
    return listener;
  }

  get port(): number {
    return this.#port;
  }

  /** Undefined: it is a port. */
  get socketPath(): string | undefined {
    return this.host === LOOPBACK ? undefined : join(this.host, `.s.PGSQL.${SOCKET_PORT}`);
  }

  /** Connections that nobody serves yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** From now on each connection is `accept`'s, those that have waited first. */
  serve(accept: (socket: Socket) => void): void {
    this.#accept = accept;
    for (const socket of this.#waiting) {
      this.#waiting.delete(socket);
      accept(socket);
    }
  }

  /** No new connections; those that nobody serves are closed. */
  close(): void {
    this.#server.close();
    for (const socket of this.#waiting) {
      socket.destroy();
    }
  }

  #takePort(): void {
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') {
      this.#port = address.port;
    }
  }

  #connected(socket: Socket): void {
    // Whoever reads the socket learns of errors; this keeps one from being thrown in between.
    socket.on('error', () => undefined);
    if (this.#accept !== undefined) {
      this.#accept(socket);
    } else if (this.#waiting.size < MAX_WAITING) {
      this.#waiting.add(socket);
      socket.once('close', () => this.#waiting.delete(socket));
    } else {
      socket.destroy();
    }
  }
}

function cannotListen(listen: ListenOn, cause: unknown): HoopError {
  const code = errorCode(cause);
  const what = listen.type === 'tcp' ? `port ${listen.port}` : `a socket in "${listen.directory}"`;
  const details: Readonly<Record<string, string>> = {
    EADDRINUSE: 'Another program listens there.',
    EACCES: 'Ports below 1024 are usually reserved for the administrator.',
  };
  const known = details[code ?? ''];
  return new HoopError('HOOP_LOCAL_PORT', `cannot listen on ${what}`, {
    detail: known ?? (cause instanceof Error ? `${cause.message}.` : undefined),
    hint:
      listen.type === 'tcp'
        ? 'Give another port with --port, or omit it to use any free port.'
        : 'Omit --socket to use a port instead.',
    cause,
  });
}
