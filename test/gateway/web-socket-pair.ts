import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

export interface WebSocketPair extends AsyncDisposable {
  readonly client: WebSocket;
  readonly server: WebSocket;
}

/** Two ends of a real WebSocket on loopback. */
export async function webSocketPair(): Promise<WebSocketPair> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http, maxPayload: 1024 * 1024 });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const [[server]] = await Promise.all([once(sockets, 'connection'), once(client, 'open')]);
  return {
    client,
    server: server as WebSocket,
    async [Symbol.asyncDispose]() {
      client.terminate();
      (server as WebSocket).terminate();
      sockets.close();
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}
