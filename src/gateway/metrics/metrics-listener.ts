/** A plain HTTP listener that answers `GET /metrics` and nothing else. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HoopError } from '../../errors.ts';
import type { HostAndPort } from '../base/config.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** A scraper or two, and a person with curl. */
const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;

export interface MetricsListener extends AsyncDisposable {
  readonly port: number;
}

/**
 * Starts the listener. It has no authentication, so it belongs on loopback or a monitoring network.
 * @param render gives the text of all metrics
 * @throws HOOP_LOCAL_STATE if the port cannot be had
 */
export async function listenMetrics(
  { host, port }: HostAndPort,
  render: () => Promise<string>,
): Promise<MetricsListener> {
  let rendering: Promise<string> | undefined;
  // Scrapers that ask at the same time share one reading of the store.
  const shared = (): Promise<string> => {
    rendering ??= render().finally(() => {
      rendering = undefined;
    });
    return rendering;
  };
  const server = createServer(
    { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS },
    (...io) => {
      void answer(...io, shared);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new HoopError('HOOP_LOCAL_STATE', `cannot listen on ${host}:${port} for metrics`, {
      hint: 'Another process may be using the port. See "metrics.listen" in the gateway configuration.',
      cause,
    });
  }
  const { port: actual } = server.address() as AddressInfo;
  return {
    port: actual,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  render: () => Promise<string>,
): Promise<void> {
  const isRead = method === 'GET' || method === 'HEAD';
  if (url?.split('?')[0] !== '/metrics' || !isRead) {
    const status = isRead ? 404 : 405;
    response.writeHead(status, { 'content-type': 'text/plain' });
    response.end(isRead ? 'see /metrics\n' : 'only GET\n');
    return;
  }
  const text = await render();
  response.writeHead(200, { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' });
  response.end(method === 'HEAD' ? undefined : text);
}
