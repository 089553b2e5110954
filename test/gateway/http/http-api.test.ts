import { once } from 'node:events';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/api/http.ts';
import { InfoReply } from '../../../src/api/login.ts';
import { PolicyReply, TargetsReply } from '../../../src/api/targets.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';

const NO_SESSION = '01890a5d-ac96-774b-bcce-b302099a8057';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('public routes', () => {
  test('health and readiness need no login', async () => {
    expect(await rawRequest(bench, { path: PATHS.health })).toMatchObject({ status: 200 });
    const ready = await rawRequest(bench, { path: PATHS.ready });
    expect(JSON.parse(ready.text)).toEqual({ ready: true });
  });

  test('info says how to log in and what to pin', async () => {
    const { status, text } = await rawRequest(bench, { path: PATHS.info });
    expect(status).toBe(200);
    const info = InfoReply.parse(JSON.parse(text));
    expect(info.gateway).toBe('test-gateway');
    expect(info.identityProviders).toEqual([
      {
        issuer: bench.provider.issuer,
        clientId: bench.provider.clientId,
        scopes: ['openid', 'email', 'profile', 'groups'],
      },
    ]);
    expect(Buffer.from(info.rootKey, 'base64')).toHaveLength(32);
    expect(info.policy.repository).toBeUndefined();
    expect(info.policy.allowedSigners).toContain('ssh-ed25519');
  });

  test('every reply carries the security headers, a nonce and its request id', async () => {
    for (const path of [PATHS.health, PATHS.whoami, '/nowhere']) {
      const { headers } = await rawRequest(bench, { path });
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      });
      expect(headers['dpop-nonce']).toBeTruthy();
      expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

describe('a logout that an identity provider tells', () => {
  const path = PATHS.backchannelLogout;
  const send = (body: string) => rawRequest(bench, { method: 'POST', path, body });

  test('is refused with 400 when it is not signed by one, and logged', async () => {
    const { status, headers, text } = await send('logout_token=a.b.c');
    expect([status, headers['cache-control']]).toEqual([400, 'no-store']);
    expect(JSON.parse(text)).toMatchObject({ error: 'invalid_request' });
    expect((await send('')).status).toBe(400);
    expect(bench.log.events).toContainEqual(
      expect.objectContaining({ event: 'logout.refused', verified: false }),
    );
  });

  test('is no longer than a token, and comes by POST', async () => {
    expect((await send(`logout_token=${'x'.repeat(40_000)}`)).status).toBe(413);
    expect((await rawRequest(bench, { path })).status).toBe(405);
  });
});

describe('without a login', () => {
  test.each([
    ['GET', PATHS.whoami],
    ['GET', PATHS.policy],
    ['GET', PATHS.policyBundle],
    ['GET', PATHS.targets],
    ['GET', PATHS.sessions],
    ['POST', PATHS.sessions],
    ['GET', PATHS.session(NO_SESSION)],
    ['POST', PATHS.end(NO_SESSION)],
    ['GET', PATHS.cuts(NO_SESSION)],
    ['POST', PATHS.cuts(NO_SESSION)],
    ['POST', PATHS.repair(NO_SESSION)],
    ['POST', PATHS.seal(NO_SESSION)],
    ['POST', PATHS.manifest(NO_SESSION)],
    ['GET', PATHS.bundle(NO_SESSION)],
  ] as const)('%s %s is refused with 401', async (method, path) => {
    const reply = await rawRequest(bench, { method, path });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toMatch(/^DPoP /);
    expect(reply.code).toMatch(/^HOOP_(NOT_LOGGED_IN|TOKEN_|PROOF_)/);
  });

  test.each([
    ['a bearer token', { authorization: 'Bearer abc' }],
    ['garbage', { authorization: 'DPoP a.b.c', dpop: 'x' }],
    ['an oversized token', { authorization: `DPoP ${'a'.repeat(12_000)}`, dpop: 'x' }],
  ])('%s is refused', async (_what, headers) => {
    const reply = await rawRequest(bench, { path: PATHS.whoami, headers });
    expect(reply.status).toBe(401);
  });

  test('a token without its proof, or with the proof of another path, is refused', async () => {
    const client = await bench.client('engineer');
    const other = await client.authHeaders('GET', `${client.baseUrl}${PATHS.policy}`, bench.signal);
    const noProof = await rawRequest(bench, {
      path: PATHS.whoami,
      headers: { authorization: other.authorization },
    });
    expect(noProof.status).toBe(401);
    const wrongPath = await rawRequest(bench, { path: PATHS.whoami, headers: other });
    expect(wrongPath.code).toMatch(/^HOOP_PROOF_/);
  });

  test('a proof is good once', async () => {
    const client = await bench.client('engineer');
    // Brings a nonce, so that the proof is good for a first time.
    await client.whoami(bench.signal);
    const url = `${client.baseUrl}${PATHS.whoami}`;
    const headers = await client.authHeaders('GET', url, bench.signal);
    expect((await rawRequest(bench, { path: PATHS.whoami, headers })).status).toBe(200);
    expect((await rawRequest(bench, { path: PATHS.whoami, headers })).status).toBe(401);
  });
});

describe('with a login', () => {
  test('whoami names the person, groups and roles', async () => {
    const client = await bench.client('dba');
    const who = await client.whoami(bench.signal);
    expect(who.groups).toContain('dba');
    expect(who.roles).toEqual(['approver']);
  });

  test('policy names the commit in force and brings a nonce, another one each time', async () => {
    const first = await rawRequest(bench, { path: PATHS.policy, as: 'engineer' });
    const policy = PolicyReply.parse(JSON.parse(first.text));
    expect(policy.commit).toMatch(/^[0-9a-f]{40}$/);
    expect(policy.problem).toBeUndefined();
    const second = await rawRequest(bench, { path: PATHS.policy, as: 'engineer' });
    expect(PolicyReply.parse(JSON.parse(second.text)).sessionNonce).not.toBe(policy.sessionNonce);
  });

  test('the policy bundle is a git bundle', async () => {
    const client = await bench.client('engineer');
    const bundle = Buffer.from(await client.policyBundle(bench.signal));
    expect(bundle.subarray(0, 16).toString()).toMatch(/^# v[23] git bundle/);
  });

  test('targets are those that the policy gives, with rules and masks', async () => {
    const reply = await rawRequest(bench, { path: PATHS.targets, as: 'engineer' });
    const { targets } = TargetsReply.parse(JSON.parse(reply.text));
    expect(targets.map(({ name }) => name)).toEqual(['prod-db']);
    expect(targets[0]?.masked).toEqual([
      { column: 'public.customers.email', mask: 'full', inference: 'deny' },
    ]);
    const none = await rawRequest(bench, { path: PATHS.targets, as: 'auditor' });
    expect(TargetsReply.parse(JSON.parse(none.text)).targets).toEqual([]);
  });
});

describe('hostile requests', () => {
  test.each([
    ['broken JSON', '{"v":1', 400, 'HOOP_PROTOCOL'],
    ['an empty body', '', 400, 'HOOP_PROTOCOL'],
    ['an array', '[]', 400, 'HOOP_PROTOCOL'],
    ['bytes that are not UTF-8', new Uint8Array([0xff, 0xfe]), 400, 'HOOP_PROTOCOL'],
    ['65 KiB', 'x'.repeat(65 * 1024), 413, 'HOOP_TOO_LARGE'],
  ])('a session request of %s is refused', async (_what, body, status, code) => {
    const reply = await rawRequest(bench, {
      method: 'POST',
      path: PATHS.sessions,
      as: 'engineer',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect([reply.status, reply.code]).toEqual([status, code]);
  });

  test.each([
    ['/', 404],
    ['/v1', 404],
    ['/v1/sessions/../whoami/x', 404],
    ['/v1/unknown', 404],
    ['//evil.test/v1/info', 404],
  ])('the path %s is not there', async (path, status) => {
    expect((await rawRequest(bench, { path })).status).toBe(status);
  });

  test.each([
    ['DELETE', PATHS.policy, 'GET'],
    ['GET', PATHS.token, 'POST'],
    ['PUT', PATHS.sessions, 'GET, POST'],
    ['POST', PATHS.bundle(NO_SESSION), 'GET'],
    ['POST', '/v1/events', 'GET'],
  ] as const)('%s %s is answered with 405', async (method, path, allow) => {
    const reply = await rawRequest(bench, { method, path });
    expect([reply.status, reply.headers['allow']]).toEqual([405, allow]);
  });

  test.each([PATHS.control(NO_SESSION), PATHS.streams(NO_SESSION)])(
    '%s without an upgrade is answered with 426',
    async (path) => {
      expect((await rawRequest(bench, { path })).status).toBe(426);
    },
  );

  test.each([
    'x',
    '..',
    '%2e%2e%2f%2e%2e%2fkeys',
    `${NO_SESSION}%00`,
    `${NO_SESSION}'--`,
    NO_SESSION.toUpperCase(),
    NO_SESSION,
  ])('the session id %s is not there', async (id) => {
    for (const path of [PATHS.session(id), PATHS.bundle(id), PATHS.cuts(id)]) {
      const reply = await rawRequest(bench, { path, as: 'engineer' });
      expect([401, 404]).toContain(reply.status);
      expect(reply.text).not.toContain(bench.directory);
    }
  });

  test.each(['limit=0', 'limit=x', 'limit=100000', 'mine=yes'])(
    'a list with %s is refused',
    async (query) => {
      const reply = await rawRequest(bench, {
        path: `${PATHS.sessions}?${query}`,
        as: 'engineer',
      });
      expect(reply.status).toBe(400);
    },
  );

  test('an upgrade without a login, or to nowhere, gets an HTTP status', async () => {
    const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
    const base = {
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    for (const [path, status] of [
      [PATHS.control(NO_SESSION), 401],
      ['/v1/sessions', 404],
      ['/', 404],
    ] as const) {
      const sent = request(`${bench.gateway().url}${path}`, {
        ca: bench.ca,
        headers: { ...upgrade, ...base },
      });
      sent.end();
      const [reply] = await once(sent, 'response');
      reply.resume();
      expect(reply.statusCode).toBe(status);
    }
  });

  test('nothing secret is in the log', async () => {
    const client = await bench.client('engineer');
    const headers = await client.authHeaders(
      'GET',
      `${client.baseUrl}${PATHS.whoami}`,
      bench.signal,
    );
    await rawRequest(bench, { path: PATHS.whoami, headers });
    const text = bench.log.text();
    expect(text).not.toContain(headers.authorization.slice(5));
    expect(text).not.toContain('eyJ');
    expect(text).not.toContain('unused');
  });
});
