import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spiffe } from '../../../src/auth/workload/spiffe.ts';
import { parseSpiffeAddress } from '../../../src/auth/workload/spiffe-call.ts';
import { TestIssuer } from '../../gateway/identity/test-issuer.ts';
import { detect, found } from './test-platform.ts';
import { fail, succeed, svidResponse, TestSpiffeAgent } from './test-spiffe-agent.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const ID = 'spiffe://example.org/ns/shop/sa/report';
const signal = new AbortController().signal;

let issuer: TestIssuer;
let agent: TestSpiffeAgent;
let env: Record<string, string>;
beforeAll(async () => {
  issuer = await TestIssuer.start();
  agent = await TestSpiffeAgent.start(() => undefined);
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});
beforeEach(() => {
  env = { SPIFFE_ENDPOINT_SOCKET: agent.socket };
  agent.requests.length = 0;
  agent.answer = async ({ audiences, spiffeId }, stream) =>
    succeed(stream, svidResponse([[spiffeId ?? ID, await mint(spiffeId ?? ID, audiences)]]));
});

function mint(sub: string, aud: readonly string[]): Promise<string> {
  return issuer.mint({ sub, aud: [...aud], exp: Math.floor(Date.now() / 1000) + 300 });
}

async function fetchToken(settings = env): Promise<string> {
  return (await found(spiffe, settings)).fetchToken(AUDIENCE, signal);
}

function claimsOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

describe('SPIFFE', () => {
  test('gets a JWT-SVID for the audience that is asked for', async () => {
    expect(claimsOf(await fetchToken())).toMatchObject({ sub: ID, aud: [AUDIENCE] });
    expect(agent.requests).toEqual([{ audiences: [AUDIENCE], spiffeId: undefined }]);
  });

  test('takes the first of several identities, which is the default one', async () => {
    agent.answer = async (_request, stream) =>
      succeed(
        stream,
        svidResponse([
          [ID, await mint(ID, [AUDIENCE])],
          ['spiffe://example.org/other', await mint('spiffe://example.org/other', [AUDIENCE])],
        ]),
      );
    expect(claimsOf(await fetchToken())).toMatchObject({ sub: ID });
  });

  test('asks for the identity that HOOP_SPIFFE_ID names, and takes no other', async () => {
    const named = { ...env, HOOP_SPIFFE_ID: 'spiffe://example.org/other' };
    expect(claimsOf(await fetchToken(named))).toMatchObject({ sub: 'spiffe://example.org/other' });
    agent.answer = async (_request, stream) =>
      succeed(stream, svidResponse([[ID, await mint(ID, [AUDIENCE])]]));
    await expect(fetchToken(named)).rejects.toMatchObject({
      message: expect.stringContaining('the identity in HOOP_SPIFFE_ID'),
    });
  });

  test('an answer that comes byte by byte is put together', async () => {
    agent.answer = async (_request, stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc+proto' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      for (const byte of svidResponse([[ID, await mint(ID, [AUDIENCE])]])) {
        stream.write(Buffer.from([byte]));
      }
      stream.end();
    };
    expect(claimsOf(await fetchToken())).toMatchObject({ sub: ID });
  });

  test.each([
    [7, 'registration entry'],
    [12, 'JWT-SVIDs'],
    [14, 'starting'],
    [3, 'Workload API'],
  ])('gRPC status %i is explained', async (status, hint) => {
    agent.answer = (_request, stream) => fail(stream, status);
    await expect(fetchToken()).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(`gRPC status ${status}`),
      hint: expect.stringContaining(hint),
    });
  });

  test('a message with a status that is not OK behind it is not used', async () => {
    agent.answer = async (_request, stream) =>
      succeed(stream, svidResponse([[ID, await mint(ID, [AUDIENCE])]]), '13');
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('gRPC status 13'),
    });
  });

  test('a message without a status behind it is not used', async () => {
    agent.answer = async (_request, stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(svidResponse([[ID, await mint(ID, [AUDIENCE])]]));
    };
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('ends too early'),
    });
  });

  test.each([
    ['no identity', svidResponse([]), 'returned no identity'],
    ['a message that is none', Buffer.from('<html>portal</html>'), 'does not begin as a message'],
    ['a message that is cut short', Buffer.from([0, 0, 0, 1, 0, 10]), 'length of its message'],
    ['a compressed message', Buffer.from([1, 0, 0, 0, 0]), 'compressed'],
  ])('an answer with %s gives no token', async (_title, body, said) => {
    agent.answer = (_request, stream) => succeed(stream, body);
    await expect(fetchToken()).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(said),
    });
  });

  test('an answer of another kind is no answer of an agent', async () => {
    agent.answer = (_request, stream) => {
      stream.respond({ ':status': 302, location: 'https://evil.example/' });
      stream.end('<html>');
    };
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('does not speak gRPC'),
    });
  });

  test('an answer without end is not read for ever', async () => {
    agent.answer = (_request, stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const chunk = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (!stream.destroyed && stream.write(chunk)) {
          // until the window is full
        }
      };
      stream.on('drain', more);
      more();
    };
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('larger than tokens'),
    });
  });

  test('an agent that never answers is left when the command ends', async () => {
    const controller = new AbortController();
    agent.answer = () => controller.abort(new Error('enough'));
    await expect(
      (await found(spiffe, env)).fetchToken(AUDIENCE, controller.signal),
    ).rejects.toThrow('enough');
  });

  test('an agent that hangs up is reported', async () => {
    agent.answer = (_request, stream) => stream.session?.destroy();
    await expect(fetchToken()).rejects.toMatchObject({ code: 'HOOP_WORKLOAD_TOKEN' });
  });

  test('a socket that is not there, and one that speaks something else, are reported', async () => {
    const missing = { SPIFFE_ENDPOINT_SOCKET: 'unix:///nowhere/agent.sock' };
    await expect(fetchToken(missing)).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      hint: expect.stringContaining('SPIFFE_ENDPOINT_SOCKET'),
    });
    const directory = mkdtempSync(join(tmpdir(), 'hoop-spiffe-'));
    const path = join(directory, 'other.sock');
    const other = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    await new Promise<void>((resolve) => other.listen(path, resolve));
    try {
      await expect(fetchToken({ SPIFFE_ENDPOINT_SOCKET: `unix:${path}` })).rejects.toMatchObject({
        code: 'HOOP_WORKLOAD_TOKEN',
      });
    } finally {
      await new Promise((resolve) => other.close(resolve));
      rmSync(directory, { recursive: true });
    }
  });

  test('a token for somebody else, or about somebody else, is not passed on', async () => {
    agent.answer = async (_request, stream) =>
      succeed(stream, svidResponse([[ID, await mint(ID, [AUDIENCE, 'spiffe://example.org/db'])]]));
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('meant for somebody else'),
    });
    agent.answer = async (_request, stream) =>
      succeed(stream, svidResponse([[ID, await mint('spiffe://example.org/b', [AUDIENCE])]]));
    await expect(fetchToken()).rejects.toMatchObject({
      message: expect.stringContaining('a different identity'),
    });
  });

  test('is somewhere else without its variable, and says what is wrong with another address', async () => {
    expect(await detect(spiffe, {})).toMatchObject({ state: 'absent' });
    expect(await detect(spiffe, { SPIFFE_ENDPOINT_SOCKET: '/run/agent.sock' })).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('unix:///'),
    });
  });
});

describe('SPIFFE_ENDPOINT_SOCKET', () => {
  test.each([
    ['unix:///run/spire/agent.sock', { type: 'unix', path: '/run/spire/agent.sock' }],
    ['unix:/run/spire/agent.sock', { type: 'unix', path: '/run/spire/agent.sock' }],
    ['tcp://127.0.0.1:8081', { type: 'tcp', host: '127.0.0.1', port: 8081 }],
    ['tcp://[::1]:8081', { type: 'tcp', host: '::1', port: 8081 }],
    ['tcp://169.254.1.1:8081', { type: 'tcp', host: '169.254.1.1', port: 8081 }],
  ])('may be %s', (text, address) => {
    expect(parseSpiffeAddress(text)).toEqual(address);
  });

  test.each([
    '/run/agent.sock',
    'unix://host/run/agent.sock',
    'unix:agent.sock',
    'unix:///run/agent.sock?x=1',
    'unix:///run/agent.sock#x',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:8081/',
    'tcp://user@127.0.0.1:8081',
    'tcp://localhost:8081',
    'tcp://10.0.0.1:8081',
    'tcp://127.0.0.1.evil.example:8081',
    'https://127.0.0.1:8081',
    'not an address',
  ])('may not be %s', (text) => {
    expect(parseSpiffeAddress(text)).toBeUndefined();
  });
});
