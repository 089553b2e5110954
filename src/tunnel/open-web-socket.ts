/** WebSockets to the gateway, with the login's proof on the upgrade. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import { parseRefusal } from '../client/gateway-transport.ts';
import { describeNetworkError } from '../client/network-error.ts';
import { openThroughProxy } from '../proxy-connection.ts';
import { onAbort } from '../until.ts';
import type { UpgradeClient } from './open-stream-connection.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
/** The gateway sends at most what it read at once from its target; this is far above. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** The body of a refusal; more is not read. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** @throws HoopError the gateway's own refusal, HOOP_UNREACHABLE, HOOP_GATEWAY_TLS */
export async function openWebSocket(
  client: UpgradeClient,
  path: string,
  signal: AbortSignal,
): Promise<WebSocket> {
  const first = await tryOpen(client, path, signal);
  if (first instanceof WebSocket) {
    return first;
  }
  if (client.upgradeRefused(first.status, first.headers)) {
    const second = await tryOpen(client, path, signal);
    if (second instanceof WebSocket) {
      return second;
    }
    throw parseRefusal(second.status, second.body);
  }
  throw parseRefusal(first.status, first.body);
}

interface Refused {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
}

async function tryOpen(
  client: UpgradeClient,
  path: string,
  signal: AbortSignal,
): Promise<WebSocket | Refused> {
  signal.throwIfAborted();
  const url = client.webSocketUrl(path);
  // The proof is for the path without its query, as RFC 9449 §4.2 has it for htu.
  const headers = await client.authHeaders('GET', url.replace(/\?.*$/, ''), signal);
  const through = await openThroughProxy(url);
  const socket = new WebSocket(url, {
    ...(through === undefined ? {} : { createConnection: overTls(through, client) }),
    headers: { ...headers },
    ...(client.ca === undefined ? {} : { ca: client.ca }),
    perMessageDeflate: false,
    skipUTF8Validation: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    // Inside TLS the mask protects nothing (RFC 6455 §10.3 is about proxies that see the bytes);
    // a mask of zeros saves a pass over every byte.
    ...(url.startsWith('wss:') ? { generateMask: (mask: Buffer) => void mask.fill(0) } : {}),
  });
  using _ = onAbort(signal, () => socket.terminate());
  // Data may come in the same packet as the reply to the upgrade, before the owner listens.
  socket.once('open', () => socket.pause());
  try {
    return await Promise.race([
      once(socket, 'open').then(() => socket),
      once(socket, 'unexpected-response').then(([, response]) => readRefusal(response, socket)),
    ]);
  } catch (error) {
    signal.throwIfAborted();
    throw describeNetworkError(client.baseUrl, error);
  }
}

/** ws connects by itself, unless it is given what it should speak to. */
function overTls(through: Socket, { baseUrl, ca }: UpgradeClient): () => TLSSocket {
  const host = new URL(baseUrl).hostname.replace(/^\[|\]$/g, '');
  return () =>
    connectTls({
      socket: through,
      host,
      ...(isIP(host) ? {} : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
      ALPNProtocols: ['http/1.1'],
    });
}

async function readRefusal(response: IncomingMessage, socket: WebSocket): Promise<Refused> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    length += part.length;
    if (length > MAX_REFUSAL_BYTES) {
      break;
    }
    parts.push(part);
  }
  // It never opened; ws reports that as an error, which is not news.
  socket.on('error', () => undefined);
  socket.terminate();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(parts),
  };
}
