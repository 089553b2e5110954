import { afterEach, beforeEach, expect, test } from 'vitest';
import { generateDpopKey, thumbprintOf } from '../../../src/client/dpop-key.ts';
import { CLIENT_ID, IdentityBench, refusalOf, tokens } from './identity-bench.ts';

const HOUR = 3_600_000;

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function allow(maxTime: number | undefined): void {
  bench.providers = [{ issuer: bench.issuer.issuer, clientId: CLIENT_ID, maxTime }];
}

test('a login lasts as long as the policy says, and twelve hours without a word', async () => {
  expect((await bench.login()).login_expires_in).toBe(12 * 3600);
  allow(2 * 3600);
  const login = await bench.login();
  expect(login.login_expires_in).toBe(2 * 3600);
  bench.pass(HOUR);
  const { refresh_token, login_expires_in } = tokens(await bench.refresh(login.refresh_token));
  expect(login_expires_in).toBe(3600);
  bench.pass(HOUR);
  expect(refusalOf(await bench.refresh(refresh_token))).toBe(
    '401 HOOP_TOKEN_EXPIRED: the login has expired',
  );
});

test('the provider’s word makes no login longer', async () => {
  allow(2 * 3600);
  const { refresh_token } = await bench.login();
  bench.pass(HOUR);
  const confirmed = tokens(await bench.confirm(refresh_token));
  expect(confirmed.login_expires_in).toBe(3600);
  bench.pass(HOUR);
  expect(refusalOf(await bench.confirm(confirmed.refresh_token))).toContain('HOOP_TOKEN_EXPIRED');
});

test('a commit makes the logins that there are shorter, and no longer', async () => {
  allow(4 * 3600);
  const { refresh_token } = await bench.login();
  bench.pass(HOUR);
  allow(24 * 3600);
  const longer = tokens(await bench.refresh(refresh_token));
  expect(longer.login_expires_in).toBe(3 * 3600);
  allow(3600);
  expect(refusalOf(await bench.refresh(longer.refresh_token))).toContain('HOOP_TOKEN_EXPIRED');
});

test('a session token of a login that is nearly over ends with it', async () => {
  allow(600);
  const { refresh_token } = await bench.login();
  bench.pass(9 * 60_000);
  expect(tokens(await bench.refresh(refresh_token)).expires_in).toBe(60);
});

test('a run is said to end when its login does, also where a commit has made that shorter', async () => {
  allow(4 * 3600);
  const { access_token } = await bench.login();
  const request = bench.request(access_token);
  const who = await bench.identity.authenticate(request);
  const key = generateDpopKey();
  await bench.identity.startRun(request, who, {
    jkt: thumbprintOf(key),
    proof: bench.request(access_token, {}, key).dpop,
    agent: undefined,
    program: undefined,
    reason: undefined,
    targets: undefined,
  });
  const ends = async () => (await bench.identity.runs()).map(({ endsAtMs }) => endsAtMs);
  expect(await ends()).toEqual([who.endsAtMs]);
  allow(3600);
  expect(await ends()).toEqual([who.endsAtMs - 3 * HOUR]);
});
