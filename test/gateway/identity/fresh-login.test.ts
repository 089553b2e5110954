import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateDpopKey, thumbprintOf } from '../../../src/client/dpop-key.ts';
import { CLIENT_ID, IdentityBench, refusalOf, tokens } from './identity-bench.ts';

const MINUTE = 60_000;
const STALE = '401 HOOP_TOKEN_STALE: the identity provider has not confirmed the login for 15 min';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
  demand(15 * 60);
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function demand(fresh: number | undefined): void {
  bench.providers = [{ issuer: bench.issuer.issuer, clientId: CLIENT_ID, fresh }];
}

async function refusalOfRequest(accessToken: string): Promise<string> {
  return bench.identity.authenticate(bench.request(accessToken)).then(
    () => 'none',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : ''),
  );
}

describe('a login that its provider must confirm each 15 minutes', () => {
  test('says how long the provider’s word is good for', async () => {
    const login = await bench.login();
    expect(login.fresh_expires_in).toBe(900);
    bench.pass(10 * MINUTE);
    expect(tokens(await bench.refresh(login.refresh_token)).fresh_expires_in).toBe(300);
  });

  test('is worth nothing without it, for requests, renewals and sessions', async () => {
    const { refresh_token } = await bench.login();
    bench.pass(9 * MINUTE);
    const { access_token, refresh_token: next } = tokens(await bench.refresh(refresh_token));
    const { family } = await bench.identity.authenticate(bench.request(access_token));
    bench.pass(6 * MINUTE - 1000);
    expect(await refusalOfRequest(access_token)).toBe('none');
    bench.pass(1000);
    expect(await refusalOfRequest(access_token)).toBe('HOOP_TOKEN_STALE');
    expect(refusalOf(await bench.refresh(next))).toBe(STALE);
    await expect(bench.identity.requireLive({ family })).rejects.toMatchObject({
      code: 'HOOP_TOKEN_STALE',
    });
  });

  test('goes on with a new ID token, and comes back with one after a night', async () => {
    let { refresh_token } = await bench.login();
    for (let i = 0; i < 5; i += 1) {
      bench.pass(10 * MINUTE);
      ({ refresh_token } = tokens(await bench.confirm(refresh_token)));
    }
    bench.pass(8 * 60 * MINUTE);
    const { access_token, fresh_expires_in } = tokens(await bench.confirm(refresh_token));
    expect(fresh_expires_in).toBe(900);
    expect(await refusalOfRequest(access_token)).toBe('none');
  });

  test('has what the provider says of its person now, and tells sessions of it', async () => {
    const confirmed: string[] = [];
    bench.identity.onConfirmed((family) => confirmed.push(family));
    const { refresh_token } = await bench.login();
    const { access_token } = tokens(await bench.confirm(refresh_token, { groups: ['guests'] }));
    const { principal, family } = await bench.identity.authenticate(bench.request(access_token));
    expect(principal).toMatchObject({ groups: ['guests'], roles: [] });
    expect(confirmed).toEqual([family]);
  });

  test('takes its runs with it, out and in', async () => {
    const { access_token, refresh_token } = await bench.login();
    const request = bench.request(access_token);
    const who = await bench.identity.authenticate(request);
    const key = generateDpopKey();
    const { token, who: runner } = await bench.identity.startRun(request, who, {
      jkt: thumbprintOf(key),
      proof: bench.request(access_token, {}, key).dpop,
      agent: undefined,
      program: undefined,
      reason: undefined,
      targets: undefined,
    });
    bench.pass(15 * MINUTE + 1000);
    await expect(bench.identity.requireLive(runner)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_STALE',
    });
    // A run cannot confirm its person’s login, whoever gave it a token.
    const idToken = await bench.idToken({ nonce: undefined });
    const form = { grant_type: 'refresh_token', refresh_token: token.refresh_token };
    const own = await bench.post({ ...form, id_token: idToken }, bench.proof({}, key));
    expect(refusalOf(own)).toContain('HOOP_RUN_REFUSED');
    tokens(await bench.confirm(refresh_token));
    expect((await bench.identity.requireLive(runner)).principal.sub).toBe('u-1');
  });

  test('counts from when the provider made the token, not from when it was sent', async () => {
    const { refresh_token } = await bench.login();
    const exp = bench.nowSeconds() + 1200;
    const idToken = await bench.idToken({ nonce: undefined, exp });
    bench.pass(9 * MINUTE);
    const form = { grant_type: 'refresh_token', refresh_token };
    const reply = tokens(await bench.post({ ...form, id_token: idToken }));
    expect(reply.fresh_expires_in).toBe(360);
  });

  test('gets no more time from a provider whose clock is ahead', async () => {
    const { refresh_token } = await bench.login();
    const ahead = await bench.confirm(refresh_token, { iat: bench.nowSeconds() + 50 });
    expect(tokens(ahead).fresh_expires_in).toBe(900);
  });

  const others: readonly [string, Record<string, unknown>, string][] = [
    ['of another person', { sub: 'u-2' }, 'HOOP_TOKEN_NONCE'],
    ['of another client', { aud: 'other' }, 'HOOP_TOKEN_AUDIENCE'],
    ['of another issuer', { iss: 'https://evil.example' }, 'HOOP_TOKEN_ISSUER'],
    ['that is an access token', { scope: 'openid' }, 'HOOP_TOKEN_TYPE'],
    ['that is an access token of Keycloak', { typ: 'Bearer' }, 'HOOP_TOKEN_TYPE'],
  ];
  test.each(others)('is not confirmed by a token %s', async (_which, claims, code) => {
    const { refresh_token } = await bench.login();
    bench.pass(15 * MINUTE + 1000);
    expect(refusalOf(await bench.confirm(refresh_token, claims))).toContain(code);
    // Nothing was spent by that.
    expect((await bench.confirm(refresh_token)).status).toBe(200);
  });

  test('is not confirmed twice by one token, nor by an older one', async () => {
    const early = await bench.idToken({ nonce: undefined, groups: ['approvers'] });
    bench.pass(2000);
    const { refresh_token } = await bench.login();
    const send = (handle: string, id_token: string) =>
      bench.post({ grant_type: 'refresh_token', refresh_token: handle, id_token });
    expect(refusalOf(await send(refresh_token, early))).toContain('HOOP_TOKEN_TOO_OLD');
    const now = await bench.idToken({ nonce: undefined });
    const { refresh_token: next } = tokens(await send(refresh_token, now));
    expect(refusalOf(await send(next, now))).toContain('HOOP_TOKEN_REPLAYED');
  });

  test('is confirmed by nobody who has not its key', async () => {
    const { refresh_token } = await bench.login();
    const id_token = await bench.idToken({ nonce: undefined });
    const thief = bench.proof({}, generateDpopKey());
    const form = { grant_type: 'refresh_token', refresh_token, id_token };
    expect(refusalOf(await bench.post(form, thief))).toContain('HOOP_PROOF_KEY');
  });

  test('is one that was made before the policy came to want it', async () => {
    demand(undefined);
    const login = await bench.login();
    expect(login).not.toHaveProperty('fresh_expires_in');
    bench.pass(20 * MINUTE);
    demand(15 * 60);
    expect(refusalOf(await bench.refresh(login.refresh_token))).toBe(STALE);
    expect((await bench.confirm(login.refresh_token)).status).toBe(200);
  });
});
