import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { EgressProxy } from '../../../src/run/fence/egress-proxy.ts';
import { LoopbackDoor, parseLoopback } from '../../../src/run/fence/loopback-door.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) {
    await close();
  }
});

async function listen(server: Server = createServer()): Promise<{ server: Server; port: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

async function upperCaseServer(): Promise<number> {
  const { server, port } = await listen(
    createServer((socket) =>
      socket.on('data', (bytes) => socket.end(String(bytes).toUpperCase())).on('error', () => 0),
    ),
  );
  open.push(() => server.close());
  return port;
}

test.each([
  ['127.0.0.1:11434', 11_434],
  ['localhost:8080', 8080],
  ['LOCALHOST:8080', 8080],
  ['api.example.com', undefined],
  ['10.0.0.1:8080', undefined],
  ['localhost.example.com', undefined],
])('%s', (name, port) => {
  expect(parseLoopback(name)).toBe(port);
});

test.each([
  ...['127.0.0.1', 'localhost', '127.0.0.1:443', 'localhost:80', '127.0.0.1:99999'],
  ...['127.0.0.2:8080', '127.0.0.0/8:8080', '[::1]:8080', '::1', '0.0.0.0:8080'],
  ...['[::]:8080', 'x.localhost:8080'],
])('%s is refused with the reason, and not taken and forgotten', (name) => {
  expect(() => parseLoopback(name)).toThrow('cannot be let through the fence');
});

test('what comes in at the door goes to the port of the loopback, but not as PostgreSQL', async () => {
  const port = await upperCaseServer();
  const { server, port: inside } = await listen();
  const cut: string[] = [];
  const door = new LoopbackDoor(server, port, () => cut.push('postgres'));
  open.push(() => door[Symbol.asyncDispose]());
  const socket = connect(inside, '127.0.0.1');
  socket.write('hello');
  expect(await text(socket)).toBe('HELLO');
  const postgres = connect(inside, '127.0.0.1');
  // SSLRequest.
  postgres.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  await once(postgres, 'close');
  expect(cut).toEqual(['postgres']);
});

test('where nobody listens a client sees the end at once', async () => {
  const { server, port: inside } = await listen();
  const door = new LoopbackDoor(server, 1, () => undefined);
  open.push(() => door[Symbol.asyncDispose]());
  const socket = connect(inside, '127.0.0.1');
  // Cut off, it may be told an error first, which `once` would throw.
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
});

test('programs that ask the proxy for their loopback reach the same ports, and no others', async () => {
  const port = await upperCaseServer();
  const proxy = new EgressProxy({ allowed: [], loopbackPorts: new Set([port]) });
  open.push(() => proxy[Symbol.asyncDispose]());
  const { server, port: at } = await listen();
  proxy.serve(server);
  const ask = async (authority: string, then = ''): Promise<string> => {
    const socket = connect(at, '127.0.0.1');
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n${then}`);
    return text(socket);
  };
  expect(await ask(`127.0.0.1:${port}`, 'hello')).toContain('HELLO');
  expect(await ask(`localhost:${port}`, 'hello')).toContain('HELLO');
  for (const other of [`127.0.0.2:${port}`, `[::1]:${port}`, '127.0.0.1:1']) {
    expect(await ask(other)).toContain('403 Forbidden');
  }
});
