import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

/** @param port 0: any that is free */
export async function loopbackServer(
  port = 0,
): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new TypeError('a TCP server has an address with a port');
  }
  return { server, url: `http://127.0.0.1:${address.port}` };
}
