/** The TLS server: bounds on what a client may cost before it has said who it is. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext } from 'node:tls';
import { HoopError } from '../../errors.ts';
import type { HostAndPort } from '../base/config.ts';
import { FirstBytes } from './first-bytes.ts';
import { inTurns } from './request-turns.ts';

export interface HttpsListenerOptions {
  /** An address, or the descriptor of a socket that listens already. */
  readonly listen: HostAndPort | { readonly descriptor: number };
  readonly tls: { readonly certFile: string; readonly keyFile: string };
  readonly onRequest: RequestListener;
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Milliseconds for the first byte, for the handshake, and again for all headers. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** How many handshakes one turn of the event loop began; for tests. */
  readonly onHandshakes?: (begun: number) => void;
}

/** In all: one byte a second does not keep a connection open. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 65_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 4096;

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';

/** @throws HOOP_CONFIG for certificate or key, HOOP_LOCAL_STATE when the port cannot be had. */
export async function listenHttps(options: HttpsListenerOptions): Promise<Server> {
  const timeoutMs = options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS;
  const certificate = await readServerCertificate(options.tls);
  let server: Server;
  try {
    server = createServer(
      {
        ...certificate,
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: timeoutMs,
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: timeoutMs,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        // Default 30 s: that much longer than the timeouts say a slow client could stay.
        connectionsCheckingInterval: Math.min(1000, timeoutMs),
        noDelay: true,
      },
      inTurns(options.onRequest),
    );
  } catch (cause) {
    throw notTogether(options.tls, cause);
  }
  server.maxConnections = MAX_CONNECTIONS;
  startHandshakesInTurns(server, timeoutMs, options.onHandshakes);
  server.on('upgrade', options.onUpgrade);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const isHttp = error.code?.startsWith('HPE_') || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (isHttp && socket.writable) {
      socket.end(BAD_REQUEST, () => socket.destroy());
    } else {
      // Also a handshake that was not finished in time: nothing can be said on such a socket.
      socket.destroy();
    }
  });
  const { listen } = options;
  if ('descriptor' in listen) server.listen({ fd: listen.descriptor });
  else server.listen(listen.port, listen.host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const where =
      'descriptor' in listen ? `descriptor ${listen.descriptor}` : `${listen.host}:${listen.port}`;
    throw new HoopError('HOOP_LOCAL_STATE', `cannot listen on ${where}`, {
      hint: 'Another process may be using the port; see "listen" in the gateway configuration.',
      cause,
    });
  }
  return server;
}

/** Node begins them where it accepts, all that there are in one turn. */
function startHandshakesInTurns(
  server: Server,
  timeoutMs: number,
  onTurn: HttpsListenerOptions['onHandshakes'],
): void {
  // Its own, which make the socket of TLS: documented as what an emitted 'connection' reaches.
  const handshakes = server.listeners('connection');
  server.removeAllListeners('connection');
  const begin = (socket: Socket): void => {
    for (const handshake of handshakes) handshake.call(server, socket);
  };
  const waiting = new FirstBytes({ begin, timeoutMs, onTurn });
  server.on('connection', (socket: Socket) => waiting.accept(socket));
}

/** What `Server.setSecureContext` takes, too. @throws HOOP_CONFIG */
export async function readServerCertificate(tls: HttpsListenerOptions['tls']): Promise<{
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: 'TLSv1.3';
}> {
  const [cert, key] = await Promise.all([
    readPem(tls.certFile, 'certificate'),
    readPem(tls.keyFile, 'key'),
  ]);
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw notTogether(tls, cause);
  }
  return { cert, key, minVersion: 'TLSv1.3' };
}

function notTogether(
  { certFile, keyFile }: HttpsListenerOptions['tls'],
  cause: unknown,
): HoopError {
  return new HoopError('HOOP_CONFIG', 'the TLS certificate and key cannot be used together', {
    detail: `Certificate "${certFile}", key "${keyFile}".`,
    cause,
  });
}

async function readPem(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the TLS ${what} "${path}"`, { cause });
  }
}
