import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createPlainServer } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import type { TokenSource } from '../../src/client/authorized-requests.ts';
import { generateDpopKey } from '../../src/client/dpop-key.ts';
import { GatewayClient } from '../../src/client/gateway-client.ts';
import { MAX_REPLY_BYTES } from '../../src/client/gateway-transport.ts';
import { normalizeGatewayUrl } from '../../src/client/gateway-url.ts';
import { listen } from '../auth/listen.ts';

const never = new AbortController().signal;
const ca = createCertificateAuthority();
const stack: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const dispose of stack.splice(0).reverse()) {
    await dispose();
  }
});

interface Bench {
  readonly client: GatewayClient;
  readonly requests: IncomingMessage[];
}

/** A server that answers as the test says, and a client that is logged in to it. */
async function start(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  options: {
    readonly tls?: ServerOptions;
    readonly ca?: string | undefined;
    readonly tokens?: TokenSource;
  } = {},
): Promise<Bench> {
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    answer(request, response, requests.length);
  };
  const { certificate, privateKey } = issueServerCertificate(ca, {
    names: ['localhost'],
    ips: ['127.0.0.1'],
  });
  const server = createServer(options.tls ?? { cert: certificate, key: privateKey }, listener);
  const { port, close } = await listen(server);
  stack.push(close);
  return { client: connect(port, options), requests };
}

function connect(
  port: number,
  options: { readonly ca?: string | undefined; readonly tokens?: TokenSource } = {},
): GatewayClient {
  const credential = { accessToken: 'token', key: generateDpopKey() };
  const client = new GatewayClient({
    baseUrl: `https://127.0.0.1:${port}`,
    ca: 'ca' in options ? options.ca : ca.certificate,
    tokens: options.tokens ?? { current: async () => credential, renewed: async () => credential },
  });
  stack.push(() => client[Symbol.asyncDispose]());
  return client;
}

function json(response: ServerResponse, status: number, body: unknown, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

function claimsOf(request: IncomingMessage | undefined): Record<string, unknown> {
  const [, payload = ''] = String(request?.headers['dpop']).split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

const WHO = {
  v: 1,
  kind: 'person',
  issuer: 'https://idp',
  sub: 'u',
  name: 'n',
  groups: [],
  roles: [],
  expiresAt: '2030-01-01T00:00:00Z',
};
const NONCE_REFUSAL = { error: { code: 'HOOP_PROOF_NONCE', message: 'the proof lacks a nonce' } };

describe('a request', () => {
  test('carries the token and a proof for just this request', async () => {
    const { client, requests } = await start((_q, response) => json(response, 200, WHO));
    expect(await client.whoami(never)).toEqual(WHO);
    expect(requests[0]?.headers.authorization).toBe('DPoP token');
    const claims = claimsOf(requests[0]);
    expect(claims).toMatchObject({ htm: 'GET', htu: `${client.baseUrl}/v1/whoami` });
    await client.whoami(never);
    expect(claimsOf(requests[1])['jti']).not.toBe(claims['jti']);
  });

  test('without a login says so before it connects', async () => {
    const client = new GatewayClient({ baseUrl: 'https://127.0.0.1:1' });
    await expect(client.whoami(never)).rejects.toMatchObject({ code: 'HOOP_NOT_LOGGED_IN' });
  });

  test('is sent again, once, with the nonce that the gateway asks for', async () => {
    const { client, requests } = await start((_q, response, count) =>
      count === 1
        ? json(response, 401, NONCE_REFUSAL, { 'dpop-nonce': 'n1' })
        : json(response, 200, WHO, { 'dpop-nonce': 'n2' }),
    );
    await client.whoami(never);
    await client.whoami(never);
    expect(requests.map((request) => claimsOf(request)['nonce'])).toEqual([undefined, 'n1', 'n2']);
  });

  test('with a body sends the same body again', async () => {
    const bodies: string[] = [];
    const { client } = await start(async (request, response, count) => {
      bodies.push(`${request.headers['content-type']} ${await text(request)}`);
      if (count === 1) {
        json(response, 401, NONCE_REFUSAL, { 'dpop-nonce': 'n1' });
      } else {
        json(response, 200, {});
      }
    });
    await client.putManifest('s', '{"a":1}', never);
    expect(bodies).toEqual(['application/json {"a":1}', 'application/json {"a":1}']);
  });

  test('is not repeated for ever by a gateway that never takes a nonce', async () => {
    const { client, requests } = await start((_q, response) =>
      json(response, 401, NONCE_REFUSAL, { 'dpop-nonce': 'n' }),
    );
    await expect(client.whoami(never)).rejects.toMatchObject({ code: 'HOOP_PROOF_NONCE' });
    expect(requests).toHaveLength(2);
  });

  test('is sent with a new token when the gateway finds the old one expired', async () => {
    const key = generateDpopKey();
    const stale: string[] = [];
    const tokens: TokenSource = {
      current: async () => ({ accessToken: 'old', key }),
      renewed: async (token) => {
        stale.push(token);
        return { accessToken: 'new', key };
      },
    };
    const { client, requests } = await start(
      (request, response) =>
        request.headers.authorization === 'DPoP new'
          ? json(response, 200, WHO)
          : json(response, 401, { error: { code: 'HOOP_TOKEN_EXPIRED', message: 'expired' } }),
      { tokens },
    );
    await client.whoami(never);
    expect(stale).toEqual(['old']);
    expect(requests).toHaveLength(2);
  });

  test('that is refused throws the gateway’s own error, with detail and hint', async () => {
    const { client } = await start((_q, response) =>
      json(response, 403, {
        error: { code: 'HOOP_ACCESS_DENIED', message: 'no', detail: 'why', hint: 'what to do' },
      }),
    );
    await expect(client.targets(never)).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
      message: 'no',
      detail: 'why',
      hint: 'what to do',
    });
  });

  test('that is refused with a code of a newer gateway keeps the code as text', async () => {
    const { client } = await start((_q, response) =>
      json(response, 403, { error: { code: 'HOOP_FUTURE', message: 'not today' } }),
    );
    await expect(client.targets(never)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_REFUSED',
      message: 'not today',
      detail: 'The gateway calls this "HOOP_FUTURE".',
    });
  });

  const badReplies: readonly [string, (response: ServerResponse) => void, string][] = [
    ['a proxy’s page', (r) => r.writeHead(502).end('<html>'), 'status 502'],
    ['a redirect', (r) => r.writeHead(302, { location: '/x' }).end(), 'status 302'],
    ['an empty 500', (r) => r.writeHead(500).end(), 'status 500'],
    ['a body that is not JSON', (r) => r.end('hello'), 'cannot be understood'],
    ['JSON of another shape', (r) => r.end('{"v":2}'), 'cannot be understood'],
  ];
  test.each(badReplies)('that gets %s says that the reply is bad', async (_title, answer, says) => {
    const { client } = await start((_q, response) => answer(response));
    await expect(client.whoami(never)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_BAD_REPLY',
      message: expect.stringContaining(says),
    });
  });

  test('does not read more than it must', async () => {
    const { client } = await start((_q, response) => {
      response.end(Buffer.alloc(MAX_REPLY_BYTES + 1));
    });
    await expect(client.whoami(never)).rejects.toMatchObject({ code: 'HOOP_TOO_LARGE' });
  });

  test('ends with the reason of the signal when it is interrupted', async () => {
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const { client } = await start(() => abort.abort(reason));
    await expect(client.whoami(abort.signal)).rejects.toBe(reason);
    await expect(client.whoami(abort.signal)).rejects.toBe(reason);
  });
});

describe('a gateway that cannot be reached', () => {
  test('is named, with the reason and a hint', async () => {
    const { port, close } = await listen(createPlainServer());
    await close();
    await expect(connect(port).whoami(never)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
      message: `cannot reach gateway "127.0.0.1:${port}": connection refused`,
      hint: expect.stringContaining('Check the address'),
    });
  });

  test('because its name is unknown', async () => {
    const client = new GatewayClient({ baseUrl: 'https://gateway.invalid' });
    await expect(client.info(never)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
      message: expect.stringMatching(/^cannot reach gateway "gateway\.invalid": the host name/),
    });
  });

  test('because it closes the connection without an answer', async () => {
    const { client } = await start((request) => request.socket.destroy());
    await expect(client.whoami(never)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
      message: expect.stringMatching(/: the connection was (closed|reset)$/),
    });
  });
});

describe('a gateway that cannot be trusted', () => {
  const refusal = async (options: Parameters<typeof start>[1]) => {
    const { client, requests } = await start((_q, response) => json(response, 200, WHO), options);
    const error: unknown = await client.whoami(never).catch((reason: unknown) => reason);
    // No token went out to it.
    expect(requests).toHaveLength(0);
    return error;
  };

  test('has a certificate of an unknown CA', async () => {
    expect(await refusal({ ca: undefined })).toMatchObject({
      code: 'HOOP_GATEWAY_TLS',
      message: expect.stringContaining('its certificate is signed by an unknown CA'),
      hint: expect.stringContaining('--ca FILE'),
    });
  });

  test('has a certificate of another CA than the one that is pinned', async () => {
    const other = createCertificateAuthority().certificate;
    expect(await refusal({ ca: other })).toMatchObject({ code: 'HOOP_GATEWAY_TLS' });
  });

  test('has a certificate for another name', async () => {
    const { certificate, privateKey } = issueServerCertificate(ca, {
      names: ['other.example'],
      ips: [],
    });
    expect(await refusal({ tls: { cert: certificate, key: privateKey } })).toMatchObject({
      code: 'HOOP_GATEWAY_TLS',
      message: expect.stringContaining('its certificate is for another name'),
    });
  });

  test('has a certificate that has expired', async () => {
    const old = createCertificateAuthority({ now: new Date('2020-01-01'), days: 30 });
    const { certificate, privateKey } = issueServerCertificate(old, {
      names: [],
      ips: ['127.0.0.1'],
    });
    const tls = { cert: certificate, key: privateKey };
    expect(await refusal({ tls, ca: old.certificate })).toMatchObject({
      code: 'HOOP_GATEWAY_TLS',
      message: expect.stringContaining('has expired'),
    });
  });

  test('speaks no TLS at all', async () => {
    const { port, close } = await listen(createPlainServer((_q, response) => response.end('hi')));
    stack.push(close);
    await expect(connect(port).whoami(never)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_TLS',
      message: `cannot open TLS to gateway "127.0.0.1:${port}"`,
    });
  });
});

describe('what others send', () => {
  test('WebSocket upgrades get a proof that names the https URL', async () => {
    const { client } = await start(() => undefined);
    const url = client.webSocketUrl('/v1/sessions/x/streams?stream=1');
    expect(url).toBe(`${client.baseUrl.replace('https', 'wss')}/v1/sessions/x/streams?stream=1`);
    const { authorization, dpop } = await client.authHeaders('GET', url, never);
    expect(authorization).toBe('DPoP token');
    const [, payload = ''] = dpop.split('.');
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      htu: `${client.baseUrl}/v1/sessions/x/streams`,
      htm: 'GET',
    });
  });

  test('a refused upgrade is worth another try only for its nonce', async () => {
    const { client } = await start(() => undefined);
    const challenge = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n9' };
    expect(client.upgradeRefused(401, challenge)).toBe(true);
    expect(client.upgradeRefused(401, { 'www-authenticate': 'DPoP error="invalid_token"' })).toBe(
      false,
    );
    expect(client.upgradeRefused(403, challenge)).toBe(false);
    const { dpop } = await client.authHeaders('GET', client.webSocketUrl('/x'), never);
    expect(Buffer.from(dpop.split('.')[1] ?? '', 'base64url').toString()).toContain('"nonce":"n9"');
  });

  test('a bundle comes as a stream of any size', async () => {
    const { client } = await start((_q, response) => {
      response.end(Buffer.alloc(MAX_REPLY_BYTES + 1, 7));
    });
    const bytes = await buffer(await client.bundle('s', never));
    expect(bytes.length).toBe(MAX_REPLY_BYTES + 1);
  });
});

describe('the address of a gateway', () => {
  test.each([
    ['gw.example.com', 'https://gw.example.com'],
    ['gw.example.com:8443', 'https://gw.example.com:8443'],
    ['https://GW.example.com/', 'https://gw.example.com'],
    ['https://gw.example.com:443', 'https://gw.example.com'],
    ['[::1]:8443', 'https://[::1]:8443'],
  ])('%s is %s', (given, normal) => {
    expect(normalizeGatewayUrl(given)).toBe(normal);
  });

  test.each([
    'http://gw.example.com',
    'ftp://gw',
    'https://user:secret@gw.example.com',
    'http://user:secret@gw.example.com/path',
    'https://gw.example.com/path',
    'https://gw.example.com?x',
    '',
    'https://',
  ])('%s is refused', (given) => {
    expect(() => normalizeGatewayUrl(given)).toThrow(
      expect.objectContaining({ code: 'HOOP_CONFIG' }),
    );
    expect(() => normalizeGatewayUrl(given, 'HOOP_USAGE')).toThrow(
      expect.objectContaining({ code: 'HOOP_USAGE' }),
    );
    expect(() => normalizeGatewayUrl(given)).not.toThrow(/secret/);
  });
});
