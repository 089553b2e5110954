import { createHmac, createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ErrorBody } from '../../../src/api/http.ts';
import { IdentityBench, refusalOf, tokens } from './identity-bench.ts';
import { makeKey } from './test-issuer.ts';

let bench: IdentityBench;
beforeAll(async () => {
  bench = await IdentityBench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

describe('an ID token buys a session token', () => {
  test('a good one gives a DPoP token of ten minutes and a refresh handle', async () => {
    const reply = await bench.exchange(await bench.idToken());
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    const { token_type, expires_in, issued_token_type, refresh_token } = tokens(reply);
    expect({ token_type, expires_in }).toEqual({ token_type: 'DPoP', expires_in: 600 });
    expect(issued_token_type).toBe('urn:ietf:params:oauth:token-type:access_token');
    expect(refresh_token).toMatch(/^hr1\./);
  });

  test.each(['RS256', 'PS256', 'ES384', 'EdDSA'])('a provider may sign with %s', async (alg) => {
    await using own = await IdentityBench.start();
    await own.issuer.rotate('other', alg);
    expect((await own.exchange(await own.idToken())).status).toBe(200);
  });

  test('the audience may be a list when azp names us', async () => {
    const token = await bench.idToken({ aud: ['hoop-cli', 'other'], azp: 'hoop-cli' });
    expect((await bench.exchange(token)).status).toBe(200);
  });

  test('the token holds nothing about the person but the subject', async () => {
    const { access_token } = await bench.login();
    const payload = Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString();
    expect(payload).not.toContain('dana@example.com');
    expect(payload).not.toContain('engineering');
  });
});

test('a clock that is off is named in the refusal, with how far it is off', async () => {
  const now = new Date(bench.nowSeconds() * 1000).toISOString().replace('.000Z', 'Z');
  const detail = async (claims: Record<string, unknown>) =>
    ErrorBody.parse((await bench.exchange(await bench.idToken(claims))).body).error.detail;
  expect(await detail({ iat: bench.nowSeconds() + 90 })).toBe(
    `The identity provider’s clock is 90 s ahead of the gateway’s, which says ${now}. Up to 60 s are accepted.`,
  );
  expect(await detail({ iat: bench.nowSeconds() + 7201 })).toContain('clock is 2 h ahead');
  const late = await detail({ iat: bench.nowSeconds() - 4000, exp: bench.nowSeconds() - 3600 });
  expect(late).toMatch(new RegExp(`^It was good until .*Z; the gateway’s clock says ${now}\\.$`));
});

describe('a token is refused', () => {
  const cases: readonly [string, () => Promise<string>, string][] = [
    [
      'that has expired',
      () => bench.idToken({ iat: bench.nowSeconds() - 400, exp: bench.nowSeconds() - 61 }),
      '401 HOOP_TOKEN_EXPIRED: the ID token has expired',
    ],
    [
      'that is not valid yet (nbf)',
      () => bench.idToken({ nbf: bench.nowSeconds() + 90 }),
      '401 HOOP_TOKEN_NOT_YET_VALID: the ID token is not valid yet',
    ],
    [
      'that was issued in the future',
      () => bench.idToken({ iat: bench.nowSeconds() + 90 }),
      '401 HOOP_TOKEN_NOT_YET_VALID: the ID token is not valid yet',
    ],
    [
      'that is older than ten minutes, however long it is good for',
      () => bench.idToken({ iat: bench.nowSeconds() - 700, exp: bench.nowSeconds() + 3600 }),
      '401 HOOP_TOKEN_TOO_OLD: the ID token is too old',
    ],
    [
      'for another audience',
      () => bench.idToken({ aud: 'another-app' }),
      '401 HOOP_TOKEN_AUDIENCE: the ID token is meant for another application',
    ],
    [
      'whose audience only starts like ours',
      () => bench.idToken({ aud: 'hoop-cli-evil' }),
      '401 HOOP_TOKEN_AUDIENCE: the ID token is meant for another application',
    ],
    [
      'without audience',
      () => bench.idToken({ aud: undefined }),
      '401 HOOP_TOKEN_AUDIENCE: the ID token is meant for another application',
    ],
    [
      'of an issuer that the policy does not name',
      () => bench.idToken({ iss: 'https://evil.example' }),
      '401 HOOP_TOKEN_ISSUER: the ID token comes from an unknown issuer',
    ],
    [
      'whose issuer differs by a trailing slash',
      () => bench.idToken({ iss: `${bench.issuer.issuer}/` }),
      '401 HOOP_TOKEN_ISSUER: the ID token comes from an unknown issuer',
    ],
    [
      'of several audiences without azp',
      () => bench.idToken({ aud: ['hoop-cli', 'other'] }),
      '401 HOOP_TOKEN_AZP: the ID token was issued to another application',
    ],
    [
      'whose azp is another application',
      () => bench.idToken({ azp: 'other' }),
      '401 HOOP_TOKEN_AZP: the ID token was issued to another application',
    ],
    [
      'signed with a key that the issuer does not publish',
      async () => bench.issuer.mint(bench.claims(), { key: await makeKey('unknown', 'ES256') }),
      '401 HOOP_TOKEN_KEY: the ID token is not signed with a key of its issuer',
    ],
    [
      'signed with another key under a published key id',
      async () => bench.issuer.mint(bench.claims(), { key: await makeKey('key-1', 'ES256') }),
      '401 HOOP_TOKEN_SIGNATURE: the signature of the ID token is wrong',
    ],
    [
      'whose claims were changed after signing',
      async () => {
        const [header, , signature] = (await bench.idToken()).split('.');
        const claims = Buffer.from(JSON.stringify(bench.claims({ sub: 'admin' })));
        return `${header}.${claims.toString('base64url')}.${signature}`;
      },
      '401 HOOP_TOKEN_SIGNATURE: the signature of the ID token is wrong',
    ],
    [
      'that brings its own key (jwk, jku, x5u are never looked at)',
      async () => {
        const key = await makeKey('mine', 'ES256');
        const header = {
          jwk: key.publicJwk,
          jku: 'http://127.0.0.1:1/',
          x5u: 'http://127.0.0.1:1/',
        };
        return bench.issuer.mint(bench.claims(), { key, header });
      },
      '401 HOOP_TOKEN_KEY: the ID token is not signed with a key of its issuer',
    ],
    [
      'with alg none and no signature',
      async () => unsigned({ alg: 'none' }, ''),
      '401 HOOP_TOKEN_ALGORITHM: the ID token is signed in a way that is not allowed',
    ],
    [
      'with alg NONE and some signature',
      async () => unsigned({ alg: 'NONE', kid: 'key-1' }, 'AAAA'),
      '401 HOOP_TOKEN_ALGORITHM: the ID token is signed in a way that is not allowed',
    ],
    [
      'that uses the published key as an HS256 secret',
      async () => {
        const pem = createPublicKey({ key: bench.issuer.key.publicJwk, format: 'jwk' }).export({
          type: 'spki',
          format: 'pem',
        });
        const text = unsigned({ alg: 'HS256', kid: 'key-1' }, '').slice(0, -1);
        return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
      },
      '401 HOOP_TOKEN_ALGORITHM: the ID token is signed in a way that is not allowed',
    ],
    [
      'that is an access token (RFC 9068)',
      () => bench.issuer.mint(bench.claims(), { header: { typ: 'at+jwt' } }),
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    ],
    [
      'that is an access token with the long media type',
      () => bench.issuer.mint(bench.claims(), { header: { typ: 'application/AT+JWT' } }),
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    ],
    [
      'that is an access token of Keycloak, made out to us',
      () => bench.idToken({ typ: 'Bearer', azp: 'hoop-cli', scope: 'openid email' }),
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    ],
    [
      'that is a refresh token, or a logout token',
      () => bench.idToken({ typ: 'Offline' }),
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    ],
    [
      'that is an access token of Cognito',
      () => bench.idToken({ token_use: 'access' }),
      '401 HOOP_TOKEN_TYPE: the token is not an ID token',
    ],
    [
      'that is an opaque access token',
      async () => 'gho_16C7e42F292c6912E7710c838347Ae178B4a',
      '401 HOOP_TOKEN_MALFORMED: the ID token is not a signed JSON web token',
    ],
    [
      'that is encrypted',
      async () => 'e30.e30.e30.e30.e30',
      '401 HOOP_TOKEN_MALFORMED: the ID token is not a signed JSON web token',
    ],
    [
      'that is larger than any token',
      () => bench.idToken({ filler: 'x'.repeat(80_000) }),
      '401 HOOP_TOKEN_MALFORMED: the ID token is too long',
    ],
    [
      'with more groups than a login takes',
      () => bench.idToken({ groups: Array.from({ length: 1001 }, (_, i) => `group-${i}`) }),
      '401 HOOP_TOKEN_CLAIM: the ID token has no usable "groups" claim',
    ],
    [
      'with characters that base64url does not have',
      async () => (await bench.idToken()).replace('.', '.\n'),
      '401 HOOP_TOKEN_MALFORMED: the ID token is not a signed JSON web token',
    ],
    [
      'with a critical extension',
      () => bench.issuer.mint(bench.claims(), { header: { crit: ['b64'], b64: true } }),
      '401 HOOP_TOKEN_MALFORMED: the ID token is not a signed JSON web token',
    ],
    [
      'without subject',
      () => bench.idToken({ sub: undefined }),
      '401 HOOP_TOKEN_CLAIM: the ID token has no usable "sub" claim',
    ],
    [
      'without expiry',
      () => bench.idToken({ exp: undefined }),
      '401 HOOP_TOKEN_CLAIM: the ID token has no usable "exp" claim',
    ],
    [
      'whose expiry is a text',
      () => bench.issuer.mint({ ...bench.claims(), exp: '9999999999' as unknown as number }),
      '401 HOOP_TOKEN_CLAIM: the ID token has no usable "exp" claim',
    ],
    [
      'whose groups are an object',
      () => bench.idToken({ groups: { dba: true } }),
      '401 HOOP_TOKEN_CLAIM: the ID token has no usable "groups" claim',
    ],
  ];
  test.each(cases)('%s', async (_title, make, expected) => {
    const reply = await bench.exchange(await make());
    expect(refusalOf(reply)).toBe(expected);
    expect(reply.headers['www-authenticate']).toContain('DPoP error="invalid_token"');
  });

  test('that was used before, also after a restart of the gateway', async () => {
    const token = await bench.idToken();
    expect((await bench.exchange(token)).status).toBe(200);
    const replayed = '401 HOOP_TOKEN_REPLAYED: the ID token has already been used';
    expect(refusalOf(await bench.exchange(token))).toBe(replayed);
    bench.restart();
    expect(refusalOf(await bench.exchange(token))).toBe(replayed);
  });

  test('that was used before, with the other signature that ECDSA allows', async () => {
    const token = await bench.idToken();
    expect((await bench.exchange(token)).status).toBe(200);
    const twin = withTwinSignature(token);
    expect(twin).not.toBe(token);
    expect(refusalOf(await bench.exchange(twin))).toContain('HOOP_TOKEN_REPLAYED');
    // It is a good signature: a fresh token with it is taken.
    expect((await bench.exchange(withTwinSignature(await bench.idToken()))).status).toBe(200);
  });

  test('that two requests use at once: one of them gets it', async () => {
    const token = await bench.idToken();
    const replies = await Promise.all([bench.exchange(token), bench.exchange(token)]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401]);
  });

  test('that is exchanged as an access token', async () => {
    const reply = await bench.post({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await bench.idToken(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    expect(refusalOf(reply)).toBe('401 HOOP_TOKEN_TYPE: the token is not an ID token');
  });

  test('and stays unspent when only its proof lacked a nonce', async () => {
    const token = await bench.idToken();
    const reply = await bench.exchange(token, bench.proof({ nonce: undefined }));
    expect(refusalOf(reply)).toContain('HOOP_PROOF_NONCE');
    expect(reply.headers['www-authenticate']).toContain('use_dpop_nonce');
    const nonce = reply.headers['dpop-nonce'];
    expect((await bench.exchange(token, bench.proof({ nonce }))).status).toBe(200);
  });
});

describe('a request is refused', () => {
  test('with another grant type', async () => {
    const reply = await bench.post({ grant_type: 'password', username: 'x' });
    expect(refusalOf(reply)).toBe('400 HOOP_USAGE: the gateway does not know this grant type');
  });

  test('with a field given twice', async () => {
    const reply = await bench.identity.token({
      method: 'POST',
      url: '/v1/token',
      dpop: bench.proof(),
      body: 'grant_type=refresh_token&refresh_token=a&refresh_token=b',
    });
    expect(refusalOf(reply)).toContain('400 HOOP_USAGE');
  });

  test('that is larger than a token needs', async () => {
    const reply = await bench.post({ grant_type: 'x'.repeat(140_000) });
    expect(refusalOf(reply)).toContain('413 HOOP_TOO_LARGE');
  });

  test('and no refusal quotes the token', async () => {
    const token = await bench.idToken({ aud: 'another-app' });
    expect(JSON.stringify(await bench.exchange(token))).not.toContain(token.slice(0, 20));
  });
});

function unsigned(header: object, signature: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode(header)}.${encode(bench.claims())}.${signature}`;
}

/** (r, s) → (r, n − s) on P-256: https://www.rfc-editor.org/rfc/rfc6090 */
function withTwinSignature(token: string): string {
  const [header, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.from(s.toString(16).padStart(64, '0'), 'hex');
  return `${header}.${payload}.${Buffer.concat([bytes.subarray(0, 32), twin]).toString('base64url')}`;
}
