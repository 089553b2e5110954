import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tokenNonce } from '../../../src/api/login-nonce.ts';
import { generateDpopKey, thumbprintOf } from '../../../src/client/dpop-key.ts';
import { CLIENT_ID, IdentityBench, refusalOf } from './identity-bench.ts';

const NOT_OURS = '401 HOOP_TOKEN_NONCE: the ID token does not belong to this login';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function nonceFor(given: string, key = bench.key): string {
  return tokenNonce(given, thumbprintOf(key));
}

describe('a login in the browser', () => {
  test.each([
    ['Keycloak', { typ: 'ID', azp: CLIENT_ID, sid: 's', acr: '1', at_hash: 'x' }],
    ['Amazon Cognito', { token_use: 'id', 'cognito:username': 'dana' }],
    ['Entra', { ver: '2.0', tid: 't', oid: 'o', rh: 'r', uti: 'u' }],
    ['Google', { azp: CLIENT_ID, hd: 'example.com', email_verified: true }],
    ['Okta', { ver: 1, idp: 'i', amr: ['pwd'], jti: 'ID.x' }],
    ['a provider that says in ID tokens, too, what was granted', { scope: 'openid email' }],
  ])('takes the ID token of %s', async (_provider, claims) => {
    expect((await bench.exchange(await bench.idToken(claims))).status).toBe(200);
  });

  test('refuses a token without nonce: access tokens have none', async () => {
    const token = await bench.idToken({ nonce: undefined });
    const given = bench.identity.loginNonce();
    expect(refusalOf(await bench.exchange(token))).toBe(NOT_OURS);
    expect(refusalOf(await bench.exchange(token, bench.proof(), given))).toBe(NOT_OURS);
  });

  test('refuses a token whose nonce the client made up', async () => {
    const own = Buffer.alloc(40, 7).toString('base64url');
    const token = await bench.idToken({ nonce: nonceFor(own) });
    expect(refusalOf(await bench.exchange(token, bench.proof(), own))).toBe(NOT_OURS);
    expect(refusalOf(await bench.exchange(token))).toBe(NOT_OURS);
  });

  test('refuses a token with the nonce of another gateway', async () => {
    await using other = await IdentityBench.start();
    const given = other.identity.loginNonce();
    const token = await bench.idToken({ nonce: nonceFor(given) });
    expect(refusalOf(await bench.exchange(token, bench.proof(), given))).toBe(NOT_OURS);
  });

  test('refuses a token that was asked for with another login’s nonce', async () => {
    const token = await bench.idToken();
    const given = bench.identity.loginNonce();
    expect(refusalOf(await bench.exchange(token, bench.proof(), given))).toBe(NOT_OURS);
  });

  test('refuses a token that somebody else got hold of, who has another key', async () => {
    const token = await bench.idToken();
    const thief = bench.proof({}, generateDpopKey());
    expect(refusalOf(await bench.exchange(token, thief))).toBe(NOT_OURS);
    expect((await bench.exchange(token)).status).toBe(200);
  });

  test('takes each nonce once, whatever token it is in', async () => {
    const nonce = bench.nonce();
    const [first, second] = [await bench.idToken({ nonce }), await bench.idToken({ nonce })];
    expect((await bench.exchange(first)).status).toBe(200);
    expect(refusalOf(await bench.exchange(second))).toContain('HOOP_TOKEN_REPLAYED');
    bench.restart();
    const third = await bench.idToken({ nonce });
    expect(refusalOf(await bench.exchange(third))).toContain('HOOP_TOKEN_REPLAYED');
  });

  test('may take ten minutes, and no longer', async () => {
    const [soon, late] = [bench.nonce(), bench.nonce()];
    bench.pass(599_000);
    expect((await bench.exchange(await bench.idToken({ nonce: soon }))).status).toBe(200);
    bench.pass(1000);
    expect(refusalOf(await bench.exchange(await bench.idToken({ nonce: late })))).toBe(NOT_OURS);
  });

  test('survives a restart of the gateway while somebody is at the provider', async () => {
    const nonce = bench.nonce();
    bench.restart();
    expect((await bench.exchange(await bench.idToken({ nonce }))).status).toBe(200);
  });
});

describe('a login by device code, which has no nonce', () => {
  beforeEach(() => {
    const { issuer } = bench.issuer;
    bench.providers = [{ issuer, clientId: CLIENT_ID, device: { clientId: 'hoop-device' } }];
  });
  const device = { aud: 'hoop-device', nonce: undefined };

  test('takes an ID token', async () => {
    const token = await bench.idToken({ ...device, typ: 'ID', sid: 's' });
    expect((await bench.exchange(token)).status).toBe(200);
  });

  test.each([
    ['typ: Bearer', { typ: 'Bearer' }],
    ['typ: DPoP', { typ: 'DPoP' }],
    ['token_use: access', { token_use: 'access' }],
    ['scope', { scope: 'openid email' }],
    ['scp', { scp: ['openid'] }],
  ])('refuses a token that says %s', async (_mark, claims) => {
    const token = await bench.idToken({ ...device, ...claims });
    expect(refusalOf(await bench.exchange(token))).toBe(
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    );
  });
});
