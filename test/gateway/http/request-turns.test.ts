import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { inTurns } from '../../../src/gateway/http/request-turns.ts';

let server: Server | undefined;
let socket: Socket | undefined;

afterEach(() => {
  socket?.destroy();
  server?.close();
  server?.closeAllConnections();
});

async function connected(handle: RequestListener): Promise<Socket> {
  server = createServer(inTurns(handle)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function requests(count: number): string {
  return Array.from({ length: count }, (_, at) => {
    const isLast = at === count - 1;
    return `GET /${at} HTTP/1.1\r\nHost: x\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`;
  }).join('');
}

test('of requests that come at once each has a turn of its own, and answers keep their order', async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const turns: number[] = [];
  const client = await connected((request, response) => {
    turns.push(turn);
    response.end(`path ${request.url};`);
  });
  client.write(requests(30));
  const answer = await text(client);
  isOver = true;
  expect([...answer.matchAll(/path \/(\d+);/g)].map(([, at]) => Number(at))).toEqual(
    Array.from({ length: 30 }, (_, at) => at),
  );
  expect(new Set(turns).size).toBe(30);
});

test('the next request is not handled before the one before is answered', async () => {
  let under = 0;
  let most = 0;
  const client = await connected((_request, response) => {
    under += 1;
    most = Math.max(most, under);
    setImmediate(() => {
      under -= 1;
      response.end('ok');
    });
  });
  client.write(requests(20));
  await text(client);
  expect(most).toBe(1);
});

test('who sends a thousand ahead is told so, and cut off', async () => {
  const handled: (string | undefined)[] = [];
  const client = await connected((request, response) => {
    handled.push(request.url);
    setImmediate(() => response.end('ok'));
  });
  client.on('error', () => undefined);
  client.write(requests(1_000));
  const answers: string[] = [];
  client.setEncoding('utf8').on('data', (part: string) => answers.push(part));
  await once(client, 'close');
  expect(handled).toEqual(['/0']);
  expect(answers.join('')).toMatch(/^HTTP\/1.1 200 .*HTTP\/1.1 429 .*HOOP_LIMIT/s);
});

test('a connection that waits for its answers may send as many as it likes', async () => {
  let handled = 0;
  const client = await connected((_request, response) => {
    handled += 1;
    response.end('ok');
  });
  for (let sent = 0; sent < 200; sent += 1) {
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'data');
  }
  expect(handled).toBe(200);
});

test('what waits behind a request is given up when its client leaves', async () => {
  const handled: (string | undefined)[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const client = await connected((request, response) => {
    handled.push(request.url);
    response.once('close', resolve);
    client.destroy();
  });
  client.on('error', () => undefined);
  client.write(requests(5));
  await promise;
  await new Promise((done) => setImmediate(done));
  await new Promise((done) => setImmediate(done));
  expect(handled).toEqual(['/0']);
});
