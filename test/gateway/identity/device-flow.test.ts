import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_ID, IdentityBench, refusalOf, tokens } from './identity-bench.ts';

const DEVICE = 'hoop-device';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
  allow({ clientId: DEVICE });
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function allow(device: { clientId: string; groups?: readonly string[] } | undefined): void {
  bench.providers = [{ issuer: bench.issuer.issuer, clientId: CLIENT_ID, device }];
}

async function principalOf(accessToken: string) {
  return (await bench.identity.authenticate(bench.request(accessToken))).principal;
}

async function refusalOfRequest(accessToken: string): Promise<string> {
  return bench.identity.authenticate(bench.request(accessToken)).then(
    () => 'none',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : ''),
  );
}

describe('a login by device code', () => {
  test('is told by the client that its ID token was made for, and has no roles', async () => {
    const device = await bench.login({ aud: DEVICE });
    expect(await principalOf(device.access_token)).toMatchObject({
      groups: ['engineering', 'approvers'],
      roles: [],
      viaDevice: true,
    });
    const browser = await principalOf((await bench.login()).access_token);
    expect(browser.roles).toEqual(['approver']);
    expect(browser).not.toHaveProperty('viaDevice');
  });

  test('is recorded with the audience of its own client', async () => {
    const { access_token } = await bench.login({ aud: DEVICE });
    const who = await bench.identity.authenticate(bench.request(access_token));
    expect(who.audience).toBe(DEVICE);
  });

  test('stays what it is when it is renewed', async () => {
    const first = await bench.login({ aud: DEVICE });
    const { access_token } = tokens(await bench.refresh(first.refresh_token));
    expect(await principalOf(access_token)).toMatchObject({ roles: [], viaDevice: true });
  });

  test('can be limited to some groups, and a login in the browser is not', async () => {
    allow({ clientId: DEVICE, groups: ['engineering', 'guests'] });
    const { access_token } = await bench.login({ aud: DEVICE });
    expect((await principalOf(access_token)).groups).toEqual(['engineering']);
    const browser = await principalOf((await bench.login()).access_token);
    expect(browser.groups).toEqual(['engineering', 'approvers']);
  });

  test('is refused where the policy does not name its client', async () => {
    allow(undefined);
    expect(refusalOf(await bench.exchange(await bench.idToken({ aud: DEVICE })))).toContain(
      '401 HOOP_TOKEN_AUDIENCE',
    );
  });

  test('ends with the commit that takes its client away, and other logins stay', async () => {
    const device = await bench.login({ aud: DEVICE });
    const browser = await bench.login();
    allow(undefined);
    expect(await refusalOfRequest(device.access_token)).toBe('HOOP_TOKEN_ISSUER');
    expect(refusalOf(await bench.refresh(device.refresh_token))).toContain('HOOP_TOKEN_ISSUER');
    expect(await refusalOfRequest(browser.access_token)).toBe('none');
  });

  test('does not become one in the browser when the policy swaps the clients', async () => {
    const { access_token } = await bench.login({ aud: DEVICE });
    bench.providers = [{ issuer: bench.issuer.issuer, clientId: DEVICE }];
    expect(await refusalOfRequest(access_token)).toBe('HOOP_TOKEN_ISSUER');
  });

  test.each([
    ['both clients, and the browser’s as party', [CLIENT_ID, DEVICE], CLIENT_ID],
    ['both clients, and no party', [DEVICE, CLIENT_ID], undefined],
    ['the device’s client, and the browser’s as party', DEVICE, CLIENT_ID],
  ])('is not made out of a token that names %s', async (_title, aud, azp) => {
    expect(refusalOf(await bench.exchange(await bench.idToken({ aud, azp })))).toContain(
      '401 HOOP_TOKEN_AZP',
    );
  });

  test('is what a token for both clients is, when the device’s is the party', async () => {
    const { access_token } = await bench.login({ aud: [CLIENT_ID, DEVICE], azp: DEVICE });
    expect(await principalOf(access_token)).toMatchObject({ roles: [], viaDevice: true });
  });
});
