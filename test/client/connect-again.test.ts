import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request } from 'undici';
import { expect, test } from 'vitest';
import { connectAgain } from '../../src/client/gateway-transport.ts';

const signal = new AbortController().signal;

async function listen(
  port: number,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
) {
  const server = createServer(answer).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

test('a server that is there again a moment later gets the request', async () => {
  const first = await listen(0, () => undefined);
  await first.close();
  let attempts = 0;
  let second: Awaited<ReturnType<typeof listen>> | undefined;
  const reply = await connectAgain(async () => {
    attempts += 1;
    if (attempts === 2) {
      second = await listen(first.port, (_, response) => response.end('here'));
    }
    return request(`http://127.0.0.1:${first.port}/`, { signal });
  }, signal);
  expect(await reply.body.text()).toBe('here');
  expect(attempts).toBe(2);
  await second?.close();
});

test('one that is not there is tried three times, and then it is said', async () => {
  const gone = await listen(0, () => undefined);
  await gone.close();
  let attempts = 0;
  const failed = connectAgain(() => {
    attempts += 1;
    return request(`http://127.0.0.1:${gone.port}/`, { signal });
  }, signal);
  await expect(failed).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(attempts).toBe(3);
});

test('what may have been sent is not sent again', async () => {
  let requests = 0;
  const server = await listen(0, ({ socket }) => {
    requests += 1;
    socket.destroy();
  });
  const post = () => request(`http://127.0.0.1:${server.port}/`, { method: 'POST', signal });
  await expect(connectAgain(post, signal)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  expect(requests).toBe(1);
  await server.close();
});

test('whoever has stopped waiting is told so at once', async () => {
  const gone = await listen(0, () => undefined);
  await gone.close();
  const stop = new AbortController();
  let attempts = 0;
  const failed = connectAgain(async () => {
    attempts += 1;
    try {
      return await request(`http://127.0.0.1:${gone.port}/`);
    } finally {
      // While it waits for the second attempt.
      setImmediate(() => stop.abort(new Error('stopped')));
    }
  }, stop.signal);
  await expect(failed).rejects.toThrow('stopped');
  expect(attempts).toBe(1);
});
