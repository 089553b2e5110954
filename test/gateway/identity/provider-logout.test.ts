import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateDpopKey, thumbprintOf } from '../../../src/client/dpop-key.ts';
import { HoopError } from '../../../src/errors.ts';
import type { HttpReply } from '../../../src/gateway/identity/http-reply.ts';
import { CLIENT_ID, IdentityBench, refusalOf, tokens } from './identity-bench.ts';
import { makeKey } from './test-issuer.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const now = bench.nowSeconds();
  return {
    iss: bench.issuer.issuer,
    aud: CLIENT_ID,
    sub: 'u-1',
    iat: now,
    exp: now + 120,
    jti: randomUUID(),
    events: { [EVENT]: {} },
    ...changes,
  };
}

function send(token: string, from?: string): Promise<HttpReply> {
  const body = new URLSearchParams({ logout_token: token }).toString();
  return bench.identity.providerLogout(body, from);
}

async function logOut(
  changes: Record<string, unknown> = {},
  options: Parameters<typeof bench.issuer.mint>[1] = { header: { typ: 'logout+jwt' } },
): Promise<HttpReply> {
  return send(await bench.issuer.mint(claims(changes), options));
}

async function isLive(accessToken: string): Promise<boolean> {
  return bench.identity.authenticate(bench.request(accessToken)).then(
    () => true,
    () => false,
  );
}

describe('a logout that the identity provider tells', () => {
  test('is not refused where the store cannot take it', async () => {
    const full = new HoopError('HOOP_DISK_FULL', 'the gateway’s store has no disk space left');
    bench.store.addProviderLogout = () => Promise.reject(full);
    await expect(logOut()).rejects.toBe(full);
  });

  test('ends all logins of its person, with their runs, and nobody else’s', async () => {
    const told: unknown[] = [];
    bench.identity.onRevoked((_family, why) => told.push(why));
    const { access_token } = await bench.login({ sid: 's-1' });
    const another = await bench.login({ sid: 's-2' });
    const others = await bench.login({ sub: 'u-2', sid: 's-3' });
    const request = bench.request(access_token);
    const who = await bench.identity.authenticate(request);
    const key = generateDpopKey();
    const { who: runner } = await bench.identity.startRun(request, who, {
      jkt: thumbprintOf(key),
      proof: bench.request(access_token, {}, key).dpop,
      agent: undefined,
      program: undefined,
      reason: undefined,
      targets: undefined,
    });
    expect(await logOut()).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(await isLive(access_token)).toBe(false);
    expect(await isLive(another.access_token)).toBe(false);
    expect(await isLive(others.access_token)).toBe(true);
    await expect(bench.identity.requireLive(runner)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: 'The identity provider has ended the login.',
    });
    expect(told).toEqual(Array(3).fill('the identity provider has ended the login'));
  });

  test('ends one session there and what may belong to it, and no other login', async () => {
    const meant = await bench.login({ sid: 's-1' });
    const other = await bench.login({ sid: 's-2' });
    // Not every provider says in the ID token which session it is of.
    const unknown = await bench.login({ sid: undefined });
    expect((await logOut({ sid: 's-1' })).status).toBe(200);
    expect(await isLive(meant.access_token)).toBe(false);
    expect(await isLive(other.access_token)).toBe(true);
    expect(await isLive(unknown.access_token)).toBe(false);
  });

  test('may name the session alone', async () => {
    const meant = await bench.login({ sid: 's-1' });
    const other = await bench.login({ sid: undefined });
    expect((await logOut({ sub: undefined, sid: 's-1' })).status).toBe(200);
    expect(await isLive(meant.access_token)).toBe(false);
    expect(await isLive(other.access_token)).toBe(true);
  });

  test('ends a login that a refresh token has confirmed without naming the session', async () => {
    const { refresh_token } = await bench.login({ sid: 's-1' });
    const { access_token } = tokens(await bench.confirm(refresh_token));
    const other = await bench.login({ sid: 's-2' });
    await logOut({ sid: 's-1' });
    expect(await isLive(access_token)).toBe(false);
    expect(await isLive(other.access_token)).toBe(true);
  });

  test('refuses an ID token from before, and takes one from after', async () => {
    const before = await bench.idToken({ sid: 's-1' });
    const elsewhere = await bench.idToken({ sid: 's-2' });
    bench.pass(1000);
    await logOut({ sid: 's-1' });
    bench.pass(1000);
    expect(refusalOf(await bench.exchange(before))).toBe(
      '401 HOOP_TOKEN_REVOKED: the identity provider has ended the login',
    );
    expect((await bench.exchange(elsewhere)).status).toBe(200);
    bench.pass(1000);
    expect((await bench.exchange(await bench.idToken({ sid: 's-3' }))).status).toBe(200);
    await logOut();
    bench.pass(1000);
    bench.restart();
    expect((await bench.exchange(await bench.idToken({ sid: 's-4' }))).status).toBe(200);
  });

  test('may be of the client for device codes', async () => {
    bench.providers = [
      { issuer: bench.issuer.issuer, clientId: CLIENT_ID, device: { clientId: 'hoop-device' } },
    ];
    const { access_token } = await bench.login();
    expect((await logOut({ aud: ['hoop-device'] })).status).toBe(200);
    expect(await isLive(access_token)).toBe(false);
  });

  test.each([
    ['no type', {}],
    ['the type JWT', { typ: 'JWT' }],
    ['the long type', { typ: 'application/logout+jwt' }],
  ])('may have %s in its header', async (_which, header) => {
    await bench.login();
    expect((await logOut({}, { header })).status).toBe(200);
  });
});

describe('a logout token is refused, and ends nothing,', () => {
  const refused: readonly [string, () => Record<string, unknown>][] = [
    ['of another issuer', () => ({ iss: 'https://evil.example' })],
    ['for another application', () => ({ aud: 'other' })],
    ['with a nonce, as ID tokens have', () => ({ nonce: 'n' })],
    ['without events', () => ({ events: undefined })],
    ['with another event', () => ({ events: { 'https://example.com/event': {} } })],
    ['whose event is no object', () => ({ events: { [EVENT]: true } })],
    ['whose events are a list', () => ({ events: [EVENT] })],
    ['without sub and sid', () => ({ sub: undefined })],
    ['whose sid is no text', () => ({ sid: 7 })],
    ['without jti', () => ({ jti: undefined })],
    ['without iat', () => ({ iat: undefined })],
    ['without exp', () => ({ exp: undefined })],
    ['that has expired', () => ({ exp: bench.nowSeconds() - 61 })],
    ['that was made long ago', () => ({ iat: bench.nowSeconds() - 700 })],
    ['from the future', () => ({ iat: bench.nowSeconds() + 61 })],
  ];
  test.each(refused)('%s', async (_which, changes) => {
    const { access_token } = await bench.login();
    expect(await logOut(changes())).toMatchObject({
      status: 400,
      headers: { 'cache-control': 'no-store' },
      body: { error: 'invalid_request' },
    });
    expect(await isLive(access_token)).toBe(true);
  });

  test('that is an ID token or an access token of the person', async () => {
    const { access_token } = await bench.login();
    expect((await send(await bench.idToken())).status).toBe(400);
    expect((await logOut({}, { header: { typ: 'at+jwt' } })).status).toBe(400);
    expect(await isLive(access_token)).toBe(true);
  });

  test('that is signed by somebody else, or not at all', async () => {
    const { access_token } = await bench.login();
    const key = await makeKey(bench.issuer.key.kid, 'ES256');
    expect((await logOut({}, { key })).status).toBe(400);
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    expect((await send(`${encode({ alg: 'none' })}.${encode(claims())}.`)).status).toBe(400);
    expect((await send('nothing')).status).toBe(400);
    expect((await bench.identity.providerLogout('')).status).toBe(400);
    expect(await isLive(access_token)).toBe(true);
  });

  test('that was used before, also before a restart', async () => {
    await bench.login();
    const token = await bench.issuer.mint(claims());
    expect((await send(token)).status).toBe(200);
    bench.pass(1000);
    const { access_token } = await bench.login();
    expect((await send(token)).status).toBe(400);
    bench.restart();
    expect((await send(token)).status).toBe(400);
    expect(await isLive(access_token)).toBe(true);
  });

  test('when the provider’s keys cannot be read', async () => {
    const token = await bench.issuer.mint(claims());
    bench.issuer.fault = 'down';
    expect((await send(token)).status).toBe(400);
  });
});

test('a flood of forged logout tokens is bounded', async () => {
  const key = await makeKey(bench.issuer.key.kid, 'ES256');
  const forged = await bench.issuer.mint(claims(), { key });
  const replies = await Promise.all(Array.from({ length: 150 }, () => send(forged)));
  const count = (status: number) => replies.filter((one) => one.status === status).length;
  expect([count(400), count(503)]).toEqual([100, 50]);
  await bench.login();
  expect((await logOut()).status).toBe(200);
});

test('a flood of forged ones from elsewhere holds up no logout that the provider sends', async () => {
  const { access_token } = await bench.login();
  const key = await makeKey(bench.issuer.key.kid, 'ES256');
  const forged = await bench.issuer.mint(claims(), { key });
  const flood = Array.from({ length: 150 }, () => send(forged, '192.0.2.1'));
  const token = await bench.issuer.mint(claims(), { header: { typ: 'logout+jwt' } });
  expect((await send(token, '192.0.2.2')).status).toBe(200);
  expect(await isLive(access_token)).toBe(false);
  expect((await Promise.all(flood)).every(({ status }) => status !== 200)).toBe(true);
});

test('a flood for a provider that does not answer holds up nobody’s logout at another', async () => {
  const issuer = 'http://127.0.0.1:1';
  bench.providers = [...bench.providers, { issuer, clientId: CLIENT_ID }];
  const { access_token } = await bench.login();
  const forged = await bench.issuer.mint(claims({ iss: issuer }));
  const flood = Array.from({ length: 150 }, () => send(forged));
  expect((await logOut()).status).toBe(200);
  expect(await isLive(access_token)).toBe(false);
  expect((await Promise.all(flood)).every(({ status }) => status !== 200)).toBe(true);
});
