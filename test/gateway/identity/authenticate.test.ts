import { createHash, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueSessionToken } from '../../../src/gateway/identity/tokens/session-token.ts';
import { whoamiReply } from '../../../src/gateway/identity/whoami-reply.ts';
import { GATEWAY, IdentityBench, refusalOf } from './identity-bench.ts';

let bench: IdentityBench;
beforeAll(async () => {
  bench = await IdentityBench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('who is calling', () => {
  test('comes from the ID token, roles from the policy in force', async () => {
    const idToken = await bench.idToken();
    const payload = Buffer.from(idToken.split('.')[1] ?? '', 'base64url');
    const { access_token } = JSON.parse(JSON.stringify((await bench.exchange(idToken)).body));
    const who = await bench.identity.authenticate(bench.request(access_token));
    expect(who.principal).toEqual({
      kind: 'person',
      issuer: bench.issuer.issuer,
      loginKey: who.jkt,
      sub: 'u-1',
      name: 'dana@example.com',
      email: 'dana@example.com',
      groups: ['engineering', 'approvers'],
      roles: ['approver'],
    });
    expect(who.audience).toBe('hoop-cli');
    expect(who.claimsSha256).toBe(createHash('sha256').update(payload).digest('hex'));
    expect(who.authTime).toBe(JSON.parse(payload.toString()).auth_time);
    expect(whoamiReply(who)).toMatchObject({ v: 1, roles: ['approver'], sub: 'u-1' });
  });

  test('gets another role as soon as the policy gives it', async () => {
    const { access_token } = await bench.login();
    bench.roles = { auditor: ['engineering'] };
    const who = await bench.identity.authenticate(bench.request(access_token));
    expect(who.principal.roles).toEqual(['auditor']);
    bench.roles = {};
  });

  test.each([
    ['the e-mail address', { email: 'a@b.c', preferred_username: 'ab', name: 'A B' }, 'a@b.c'],
    [
      'not an address that the provider calls unverified',
      { email: 'a@b.c', email_verified: false, preferred_username: 'ab' },
      'ab',
    ],
    ['the name without both', { email: undefined, name: 'A B' }, 'A B'],
    ['the subject as the last resort', { email: undefined }, 'u-1'],
    ['never a text longer than a name', { email: 'x'.repeat(400) }, 'u-1'],
  ])('is called by %s', async (_title, claims, name) => {
    const { access_token } = await bench.login(claims);
    const who = await bench.identity.authenticate(bench.request(access_token));
    expect(who.principal.name).toBe(name);
  });

  test('claims can have other names in the policy', async () => {
    await using own = await IdentityBench.start();
    own.providers = [
      { issuer: own.issuer.issuer, clientId: 'hoop-cli', claims: { groups: 'https://x/roles' } },
    ];
    const { access_token } = await own.login({ 'https://x/roles': 'dba', groups: ['no'] });
    const who = await own.identity.authenticate(own.request(access_token));
    expect(who.principal.groups).toEqual(['dba']);
  });
});

describe('a session token is refused', () => {
  test('after ten minutes', async () => {
    await using own = await IdentityBench.start();
    const { access_token } = await own.login();
    own.pass(599_000);
    await expect(own.identity.authenticate(own.request(access_token))).resolves.toBeDefined();
    own.pass(1_000);
    await expect(own.identity.authenticate(own.request(access_token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_EXPIRED',
      message: 'the session token has expired',
    });
  });

  test('of another gateway', async () => {
    await using other = await IdentityBench.start();
    const { access_token } = await other.login();
    await expect(bench.identity.authenticate(bench.request(access_token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_SIGNATURE',
      message: 'the session token was not issued by this gateway',
    });
  });

  test('when it is an ID token', async () => {
    await expect(
      bench.identity.authenticate(bench.request(await bench.idToken())),
    ).rejects.toMatchObject({ code: 'HOOP_TOKEN_TYPE' });
  });

  test('when it is signed by the right key for another audience', async () => {
    const token = await issueSessionToken(
      sessionClaims({ aud: 'https://other' }),
      bench.signingKey,
    );
    await expect(bench.identity.authenticate(bench.request(token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_AUDIENCE',
    });
  });

  test('when its login is unknown', async () => {
    const who = await bench.identity.authenticate(
      bench.request((await bench.login()).access_token),
    );
    const token = await issueSessionToken(
      sessionClaims({ cnf: { jkt: who.jkt } }),
      bench.signingKey,
    );
    await expect(bench.identity.authenticate(bench.request(token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
    });
  });

  test('when its alg is none, or HS256 with the public key', async () => {
    const { access_token } = await bench.login();
    const [, payload] = access_token.split('.');
    for (const alg of ['none', 'HS256']) {
      const header = Buffer.from(JSON.stringify({ alg, typ: 'hoop-session+jwt' }));
      const token = `${header.toString('base64url')}.${payload}.AAAA`;
      await expect(bench.identity.authenticate(bench.request(token))).rejects.toMatchObject({
        code: 'HOOP_TOKEN_ALGORITHM',
      });
    }
  });

  test('when it is signed with a key of somebody else', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const token = await issueSessionToken(sessionClaims({}), privateKey);
    await expect(bench.identity.authenticate(bench.request(token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_SIGNATURE',
    });
  });

  test('when the policy no longer names the identity provider', async () => {
    await using own = await IdentityBench.start();
    const { access_token, refresh_token } = await own.login();
    own.providers = [];
    await expect(own.identity.authenticate(own.request(access_token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_ISSUER',
    });
    expect(refusalOf(await own.refresh(refresh_token))).toContain('401 HOOP_TOKEN_ISSUER');
  });

  test('and the refusal is a reply with a challenge and a nonce', async () => {
    const error: unknown = await bench.identity
      .authenticate({ method: 'GET', url: '/v1/whoami', authorization: 'DPoP x', dpop: 'y' })
      .catch((reason: unknown) => reason);
    const reply = bench.identity.refusal(error);
    expect(reply?.status).toBe(401);
    expect(reply?.headers['www-authenticate']).toContain('invalid_token');
    expect(reply?.headers['dpop-nonce']).toBeTruthy();
    expect(bench.identity.refusal(new Error('a bug'))).toBeUndefined();
  });
});

describe('a revocation', () => {
  test('of a person ends all logins at once and is told to who listens', async () => {
    await using own = await IdentityBench.start();
    const first = await own.login();
    const second = await own.login();
    const other = await own.login({ sub: 'u-2' });
    const ended: string[] = [];
    const stop = own.identity.onRevoked((family) => ended.push(family));
    await own.identity.revoke({ issuer: own.issuer.issuer, sub: 'u-1' });
    expect(ended).toHaveLength(2);
    for (const { access_token, refresh_token } of [first, second]) {
      await expect(own.identity.authenticate(own.request(access_token))).rejects.toMatchObject({
        code: 'HOOP_TOKEN_REVOKED',
      });
      expect(refusalOf(await own.refresh(refresh_token))).toContain('HOOP_TOKEN_REVOKED');
    }
    await expect(own.identity.authenticate(own.request(other.access_token))).resolves.toBeDefined();
    stop();
    await own.identity.revoke({ issuer: own.issuer.issuer, sub: 'u-2' });
    expect(ended).toHaveLength(2);
    // A new login is a new login.
    const again = await own.login();
    await expect(own.identity.authenticate(own.request(again.access_token))).resolves.toBeDefined();
  });
});

function sessionClaims(changes: object) {
  return {
    iss: GATEWAY,
    aud: GATEWAY,
    sub: 'u-1',
    sid: 'unknown',
    jti: 'x',
    iat: bench.nowSeconds(),
    exp: bench.nowSeconds() + 60,
    cnf: { jkt: 'x' },
    ...changes,
  };
}
