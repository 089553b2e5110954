import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_ID, IdentityBench, refusalOf } from './identity-bench.ts';

let bench: IdentityBench;
beforeEach(async () => {
  bench = await IdentityBench.start();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function readGroupsFrom(groups: string): void {
  bench.providers = [{ issuer: bench.issuer.issuer, clientId: CLIENT_ID, claims: { groups } }];
}

async function whoIs(claims: Record<string, unknown>) {
  const { access_token } = await bench.login(claims);
  return bench.identity.authenticate(bench.request(access_token));
}

describe('the groups of a login', () => {
  test('may be 300 with names of 41 characters, or 1000 of 60', async () => {
    for (const [count, length] of [
      [300, 41],
      [1000, 60],
    ] as const) {
      const groups = Array.from({ length: count }, (_, i) => `${i}-`.padEnd(length, 'x'));
      expect((await whoIs({ groups })).principal.groups).toEqual(groups);
    }
  });

  test('are read deep in the token where the policy has a JSON pointer', async () => {
    readGroupsFrom('/realm_access/roles');
    const who = await whoIs({ groups: ['other'], realm_access: { roles: ['dba', 'oncall'] } });
    expect(who.principal.groups).toEqual(['dba', 'oncall']);
    expect(who).not.toHaveProperty('missingGroups');
  });

  test('are read from a claim whose name is an address or has dots', async () => {
    readGroupsFrom('https://example.com/groups');
    const who = await whoIs({ 'https://example.com/groups': ['dba'] });
    expect(who.principal.groups).toEqual(['dba']);
    readGroupsFrom('/resource_access/my~1app/roles');
    const deep = await whoIs({ resource_access: { 'my/app': { roles: ['dev'] } } });
    expect(deep.principal.groups).toEqual(['dev']);
  });

  test('are none for a path that leads through something else, and the login says which', async () => {
    readGroupsFrom('/realm_access/roles');
    for (const claims of [{}, { realm_access: 'x' }, { realm_access: [] }, { realm_access: {} }]) {
      const who = await whoIs({ ...claims, groups: ['dba'] });
      expect(who.principal.groups).toEqual([]);
      expect(who.missingGroups).toBe('/realm_access/roles');
    }
  });

  test('are never read from what every object has', async () => {
    readGroupsFrom('/constructor/name');
    expect((await whoIs({})).principal.groups).toEqual([]);
  });

  test('that are there and empty are not missing', async () => {
    expect(await whoIs({ groups: [] })).not.toHaveProperty('missingGroups');
    expect((await whoIs({ groups: undefined })).missingGroups).toBe('groups');
  });

  test('of another shape are refused at the end of a path, too', async () => {
    readGroupsFrom('/realm_access/roles');
    const token = await bench.idToken({ realm_access: { roles: { dba: true } } });
    expect(refusalOf(await bench.exchange(token))).toContain('HOOP_TOKEN_CLAIM');
  });
});

describe('a refused login', () => {
  test('is told with its code, its user, and whether the provider says so', async () => {
    await bench.exchange(await bench.idToken({ nonce: undefined }));
    await bench.exchange(`${(await bench.idToken()).slice(0, -8)}AAAAAAAA`);
    await bench.exchange('not a token');
    expect(bench.refused).toEqual([
      expect.objectContaining({
        code: 'HOOP_TOKEN_NONCE',
        user: 'dana@example.com',
        sub: 'u-1',
        issuer: bench.issuer.issuer,
        verified: true,
      }),
      expect.objectContaining({ user: 'dana@example.com', verified: false }),
      { code: 'HOOP_TOKEN_MALFORMED', verified: false },
    ]);
  });

  test('is nobody’s where anybody may have written the token', async () => {
    const token = await bench.idToken();
    const exchange = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      subject_token: token,
    };
    await bench.post(exchange, '');
    await bench.post(exchange, 'no proof');
    await bench.post({ ...exchange, login_nonce: '' });
    await bench.post({ ...exchange, subject_token_type: 'other' });
    // A token beside a handle is not looked at.
    await bench.post({ ...exchange, grant_type: 'refresh_token', refresh_token: 'no.handle' });
    await bench.post({ ...exchange, grant_type: 'refresh_token' });
    expect(bench.refused).toHaveLength(6);
    for (const refused of bench.refused) expect(refused).toMatchObject({ verified: false });
  });

  test('is one whose handle came back a second time', async () => {
    const { refresh_token } = await bench.login();
    await bench.refresh(refresh_token);
    bench.pass(60_000);
    await bench.refresh(refresh_token);
    expect(bench.refused).toEqual([
      expect.objectContaining({ code: 'HOOP_TOKEN_REPLAYED', user: 'dana@example.com' }),
    ]);
  });

  test('is nobody’s where the handle was not made here, though it names a login', async () => {
    const { refresh_token } = await bench.login();
    const [version, family, generation] = String(refresh_token).split('.');
    await bench.refresh([version, family, generation, 'A'.repeat(43)].join('.'));
    expect(bench.refused).toEqual([{ code: 'HOOP_TOKEN_SIGNATURE', verified: false }]);
  });

  test('is not one that only has to come again for a nonce', async () => {
    await bench.exchange(await bench.idToken(), bench.proof({ nonce: undefined }));
    expect(bench.refused).toEqual([]);
  });
});

describe('what tells a person from others', () => {
  const REFUSED = '401 HOOP_TOKEN_CLAIM: the ID token has no usable "oid" claim';
  const subjectFrom = (subject: string | undefined) => {
    const { issuer } = bench.issuer;
    bench.providers = [{ issuer, clientId: CLIENT_ID, claims: { subject } }];
  };

  test('is the claim that the policy names, beside the sub, and the key of the login', async () => {
    subjectFrom('oid');
    const { principal, jkt } = await whoIs({ oid: 'oid-1' });
    expect(principal).toMatchObject({ sub: 'u-1', subject: 'oid-1', loginKey: jkt });
    subjectFrom('/ids/person');
    expect((await whoIs({ ids: { person: 'p-1' } })).principal.subject).toBe('p-1');
  });

  test('has to be in each token', async () => {
    subjectFrom('oid');
    for (const oid of [undefined, '', 7, ['a'], 'x'.repeat(321)]) {
      expect(refusalOf(await bench.exchange(await bench.idToken({ oid })))).toBe(REFUSED);
    }
  });

  test('ends logins of before the policy named it, and of another person’s new token', async () => {
    subjectFrom(undefined);
    const { access_token } = await bench.login({ oid: 'oid-1' });
    subjectFrom('oid');
    await expect(bench.identity.authenticate(bench.request(access_token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_CLAIM',
      hint: 'Log in again with `hoop login`.',
    });
    const { refresh_token } = await bench.login({ oid: 'oid-1' });
    expect(refusalOf(await bench.confirm(refresh_token, { oid: 'oid-2' }))).toMatch(
      /HOOP_TOKEN_NONCE/,
    );
  });

  test('is an e-mail address only when the provider has checked that one', async () => {
    const verified = async (claims: Record<string, unknown>) =>
      (await whoIs(claims)).principal.verifiedEmail;
    expect(await verified({ email_verified: true })).toBe('dana@example.com');
    expect(await verified({ email_verified: 'true' })).toBe('dana@example.com');
    for (const email_verified of [undefined, false, 'false', 1, {}]) {
      expect(await verified({ email_verified })).toBeUndefined();
    }
    const { issuer } = bench.issuer;
    bench.providers = [{ issuer, clientId: CLIENT_ID, claims: { email: 'upn' } }];
    expect(await verified({ upn: 'boss@example.com', email_verified: true })).toBeUndefined();
  });
});
