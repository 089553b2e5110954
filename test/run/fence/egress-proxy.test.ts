import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { parseAllowedHost } from '../../../src/run/fence/allowed-hosts.ts';
import { EgressProxy, type EgressProxyOptions } from '../../../src/run/fence/egress-proxy.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) {
    await close();
  }
});

async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Bench {
  readonly proxy: EgressProxy;
  /** What was dialled. */
  readonly dialled: string[];
  ask(request: string): Promise<Socket>;
  /** All of the answer to one request. */
  answer(request: string): Promise<string>;
}

/** A proxy whose other hosts are all one server here, which returns what it gets in capitals. */
async function bench(
  names: Readonly<Record<string, readonly string[]>>,
  options: Partial<EgressProxyOptions> & { readonly allow: readonly string[] },
): Promise<Bench> {
  const host = await listen((socket) => {
    socket.on('data', (bytes) => socket.write(bytes.toString('latin1').toUpperCase(), 'latin1'));
    socket.on('end', () => socket.end('.'));
  });
  const dialled: string[] = [];
  const proxy = new EgressProxy({
    allowed: options.allow.map(parseAllowedHost),
    resolve: (name) => Promise.resolve(names[name] ?? []),
    ownAddresses: () => ['192.0.2.99'],
    dial: async (address, port) => {
      dialled.push(`${address} ${port}`);
      const socket = connect({ port: portOf(host), host: '127.0.0.1', allowHalfOpen: true });
      await once(socket, 'connect');
      return socket;
    },
    ...options,
  });
  open.push(() => proxy[Symbol.asyncDispose]());
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  proxy.serve(listener);
  const ask = async (request: string): Promise<Socket> => {
    const socket = connect({ port: portOf(listener), host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    socket.write(request);
    return socket;
  };
  return { proxy, dialled, ask, answer: async (request) => text(await ask(request)) };
}

function connectTo(authority: string): string {
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
}

describe('an allowed host', () => {
  test('is connected to at the address that was looked at, and bytes go both ways until both ends', async () => {
    const { dialled, ask } = await bench(
      { 'api.example.com': ['198.51.100.7'] },
      { allow: ['api.example.com'] },
    );
    const socket = await ask(connectTo('API.example.com:443'));
    const [head] = await once(socket, 'data');
    expect(String(head)).toBe('HTTP/1.1 200 Connection established\r\n\r\n');
    socket.write('a question that is long enough; ');
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^A QUESTION/);
    socket.end('two');
    expect(await text(socket)).toMatch(/TWO\.$/);
    expect(dialled).toEqual(['198.51.100.7 443']);
  });

  test('gets what came together with the request', async () => {
    const { ask } = await bench(
      { 'api.example.com': ['198.51.100.7'] },
      { allow: ['api.example.com'] },
    );
    const socket = await ask(`${connectTo('api.example.com:443')}early bytes`);
    socket.end();
    expect(await text(socket)).toMatch(/\r\n\r\nEARLY BYTES\.$/);
  });

  test('at a private address is reached when the list names the address, by its name or by itself', async () => {
    const allow = ['registry.corp.example', '10.1.0.0/16'];
    const { dialled, ask } = await bench({ 'registry.corp.example': ['10.1.2.3'] }, { allow });
    for (const authority of ['registry.corp.example:443', '10.1.2.3:443']) {
      const socket = await ask(connectTo(authority));
      const [head] = await once(socket, 'data');
      expect(String(head)).toContain('200');
      socket.destroy();
    }
    expect(dialled).toEqual(['10.1.2.3 443', '10.1.2.3 443']);
  });
});

describe('refused with 403 and the reason, without a connection', () => {
  test.each([
    ['a host that is not on the list', 'evil.example:443', 'not on the list'],
    ['another port of an allowed host', 'api.example.com:5432', 'not on the list'],
    [
      'a name that now leads to loopback',
      'rebound.example:443',
      '127.0.0.1 is an address of this machine',
    ],
    [
      'a name one of whose addresses is loopback',
      'mixed.example:443',
      '::1 is an address of this machine',
    ],
    ['a name that leads to the metadata service', 'meta.example:443', 'link-local'],
    ['a name that leads to a private address', 'db.example:443', 'a private address'],
    ['a name that leads to this machine', 'self.example:443', 'an address of this machine'],
    ['the metadata service by its address', '169.254.169.254:443', 'link-local'],
    ['loopback by its address', '127.0.0.1:443', 'an address of this machine'],
    ['loopback as IPv6 writes IPv4', '[::ffff:127.0.0.1]:443', 'an address of this machine'],
    ['loopback as one number', '2130706433:443', 'not on the list'],
    ['localhost', 'localhost:443', 'not on the list'],
    ['a public address that only a name leads to', '198.51.100.7:443', 'not on the list'],
  ])('%s', async (_what, authority, because) => {
    const names = {
      'api.example.com': ['198.51.100.7'],
      'rebound.example': ['127.0.0.1'],
      'mixed.example': ['198.51.100.7', '::1'],
      'meta.example': ['::ffff:169.254.169.254'],
      'db.example': ['10.0.0.5'],
      'self.example': ['192.0.2.99'],
    };
    const { answer, dialled, proxy } = await bench(names, { allow: Object.keys(names) });
    const reply = await answer(connectTo(authority));
    expect(reply).toMatch(/^HTTP\/1\.1 403 /);
    expect(reply).toContain(because);
    expect(reply).toContain('--fence-allow');
    expect(dialled).toEqual([]);
    expect([...proxy.refused]).toEqual([[authority, 1]]);
  });

  test('nothing but CONNECT, and no nonsense', async () => {
    const { answer, dialled } = await bench({}, { allow: ['api.example.com:80'] });
    expect(
      await answer('GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n'),
    ).toMatch(/^HTTP\/1\.1 405 [\s\S]*use https/);
    expect(await answer(connectTo('api.example.com'))).toMatch(/^HTTP\/1\.1 400 /);
    expect(await answer(connectTo('api.example.com:0'))).toMatch(/^HTTP\/1\.1 400 /);
    expect(dialled).toEqual([]);
  });

  test('PostgreSQL, whatever host it is, also when it comes byte by byte', async () => {
    const refused: string[] = [];
    const { ask } = await bench(
      { 'db.example.com': ['198.51.100.8'] },
      {
        allow: ['db.example.com:5432'],
        onRefused: (host, because) => refused.push(`${host} ${because}`),
      },
    );
    const openings = {
      sslRequest: '0000000804d2162f',
      startup: '0000002200030000757365720061000000',
      startup32: '0000002200030002757365720061000000',
      cancel: '0000001004d2162e0000000100000001',
    };
    for (const opening of Object.values(openings)) {
      const socket = await ask(connectTo('db.example.com:5432'));
      await once(socket, 'data');
      for (const byte of Buffer.from(opening, 'hex')) {
        socket.write(Buffer.of(byte));
      }
      expect((await buffer(socket)).toString()).toBe('');
    }
    expect(refused).toEqual(['db.example.com:5432 it speaks PostgreSQL']);
  });

  test('a host that cannot be reached is a 502, which is not the fence', async () => {
    const { answer, proxy } = await bench(
      { 'api.example.com': ['198.51.100.7'] },
      {
        allow: ['api.example.com'],
        dial: () => Promise.reject(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })),
      },
    );
    expect(await answer(connectTo('api.example.com:443'))).toMatch(
      /^HTTP\/1\.1 502 [\s\S]*ECONNREFUSED/,
    );
    expect(proxy.refused.size).toBe(0);
  });
});
