import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateDpopKey } from '../../../src/client/dpop-key.ts';
import {
  MAX_PROOFS_PER_KEY,
  ProofReplays,
} from '../../../src/gateway/identity/tokens/proof-replays.ts';
import { GATEWAY, IdentityBench, refusalOf } from './identity-bench.ts';

let bench: IdentityBench;
let accessToken: string;
beforeAll(async () => {
  bench = await IdentityBench.start();
  accessToken = (await bench.login()).access_token;
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** The code and message that the request is refused with. */
async function refusal(request: Partial<ReturnType<IdentityBench['request']>>): Promise<string> {
  const whole = { ...bench.request(accessToken), ...request };
  const error: unknown = await bench.identity.authenticate(whole).then(
    () => new Error('accepted'),
    (reason: unknown) => reason,
  );
  return error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : `${error}`;
}

test('a request with a fresh proof is let in', async () => {
  const who = await bench.identity.authenticate(bench.request(accessToken));
  expect(who.principal.sub).toBe('u-1');
});

describe('a request is refused', () => {
  test('without any token', async () => {
    expect(await refusal({ authorization: '' })).toBe(
      'HOOP_NOT_LOGGED_IN: the request carries no token',
    );
  });

  test('with the token as Bearer', async () => {
    expect(await refusal({ authorization: `Bearer ${accessToken}` })).toBe(
      'HOOP_PROOF_MISSING: the token was sent without a proof of its key',
    );
  });

  test('without a proof', async () => {
    expect(await refusal({ dpop: '' })).toBe(
      'HOOP_PROOF_MISSING: the request has no proof of its key',
    );
  });

  test('with a proof that was used before', async () => {
    const request = bench.request(accessToken);
    await bench.identity.authenticate(request);
    expect(await refusal(request)).toBe('HOOP_PROOF_REPLAYED: the proof has already been used');
  });

  const target = 'HOOP_PROOF_TARGET: the proof is made for another request';
  test.each([
    ['another path', { url: `${GATEWAY}/v1/targets` }],
    ['a path below', { url: `${GATEWAY}/v1/whoami/` }],
    ['another host', { url: 'https://evil.example:8443/v1/whoami' }],
    ['another port', { url: 'https://gw.example.com/v1/whoami' }],
    ['http', { url: 'http://gw.example.com:8443/v1/whoami' }],
    ['another method', { method: 'DELETE' }],
    ['the same method in small letters', { method: 'get' }],
  ])('with a proof for %s', async (_title, changes) => {
    expect(await refusal({ dpop: bench.request(accessToken, changes).dpop })).toBe(target);
  });

  test('but query and fragment do not count, nor does the Host that the request names', async () => {
    const request = bench.request(accessToken, { url: `${GATEWAY}/v1/whoami?x=1#y` });
    const url = 'https://whatever.example/v1/whoami?z=2';
    await expect(bench.identity.authenticate({ ...request, url })).resolves.toBeDefined();
  });

  test('with a proof made with another key than the token is bound to', async () => {
    const { dpop } = bench.request(accessToken, {}, generateDpopKey());
    expect(await refusal({ dpop })).toBe(
      'HOOP_PROOF_KEY: the proof is made with a key that is not the token’s',
    );
  });

  test('with a proof for another token', async () => {
    const other = (await bench.login()).access_token;
    const { dpop } = bench.request(other);
    expect(await refusal({ dpop })).toBe('HOOP_PROOF_INVALID: the proof of the key is not valid');
  });

  test('with a proof for no token', async () => {
    const { dpop } = bench.request(accessToken, { accessToken: undefined });
    expect(await refusal({ dpop })).toBe('HOOP_PROOF_INVALID: the proof of the key is not valid');
  });

  test.each([
    ['no nonce', undefined],
    ['a nonce of its own making', Buffer.alloc(24, 7).toString('base64url')],
    ['a short nonce', 'abc'],
  ])('with %s', async (_title, nonce) => {
    expect(await refusal({ dpop: bench.request(accessToken, { nonce }).dpop })).toBe(
      'HOOP_PROOF_NONCE: the proof lacks a current nonce of the gateway',
    );
  });

  test('with a nonce older than five minutes', async () => {
    await using own = await IdentityBench.start();
    const token = (await own.login()).access_token;
    const nonce = own.identity.nonceHeader();
    own.pass(5 * 60_000);
    await expect(own.identity.authenticate(own.request(token, { nonce }))).rejects.toMatchObject({
      code: 'HOOP_PROOF_NONCE',
    });
  });

  test('with a proof from before a restart of the gateway', async () => {
    const request = bench.request(accessToken);
    bench.restart();
    expect(await refusal(request)).toContain('HOOP_PROOF_NONCE');
  });

  test.each([-301_000, 301_000])('with a clock that is %d ms off', async (off) => {
    const { dpop } = bench.request(accessToken, { nowMs: bench.now() + off });
    expect(await refusal({ dpop })).toBe(
      'HOOP_PROOF_INVALID: this machine’s clock and the gateway’s are too far apart',
    );
  });

  const forged: readonly [string, () => string][] = [
    ['that is no JWT', () => 'x.y'],
    ['of another type', () => forge({ typ: 'JWT' })],
    ['with alg none', () => forge({ alg: 'none' })],
    ['with a symmetric alg', () => forge({ alg: 'HS256' })],
    ['without key', () => forge({ jwk: undefined })],
    ['with a private key in it', () => forge({ jwk: { ...publicJwk(), d: 'secret' } })],
    ['with an RSA key', () => forge({ jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } })],
    ['with a key that did not sign it', () => forge({ jwk: otherJwk() })],
    ['with a short jti', () => forge({}, { jti: 'short' })],
    ['without jti', () => forge({}, { jti: undefined })],
    ['whose iat is a text', () => forge({}, { iat: 'now' })],
  ];
  test.each(forged)('with a proof %s', async (_title, make) => {
    expect(await refusal({ dpop: make() })).toBe(
      'HOOP_PROOF_INVALID: the proof of the key is not valid',
    );
  });
});

describe('proofs that were seen', () => {
  const proof = (jkt: string, jti: string, endsAtMs: number) => ({ jkt, jti, endsAtMs });

  test('are remembered until their nonce ends, and then forgotten', () => {
    const replays = new ProofReplays();
    expect(replays.use(proof('a', 'x', 300_000), 0)).toBe('fresh');
    expect(replays.use(proof('a', 'x', 300_000), 299_999)).toBe('replayed');
    expect(replays.use(proof('a', 'x', 700_000), 400_000)).toBe('fresh');
  });

  test('are kept while later ones come in every second', () => {
    const replays = new ProofReplays();
    expect(replays.use(proof('a', 'first', 300_000), 0)).toBe('fresh');
    for (let second = 1; second < 299; second += 1) {
      const now = second * 1000;
      expect(replays.use(proof('a', `n${second}`, now + 300_000), now)).toBe('fresh');
    }
    expect(replays.use(proof('a', 'first', 300_000), 299_000)).toBe('replayed');
    expect(replays.use(proof('a', 'n298', 598_000), 500_000)).toBe('replayed');
  });

  test('are bounded for each key, and one key does not fill the room of another', () => {
    const replays = new ProofReplays();
    for (let i = 0; i < MAX_PROOFS_PER_KEY; i += 1) {
      replays.use(proof('a', `${i}`, 300_000), 0);
    }
    expect(replays.use(proof('a', 'more', 300_000), 0)).toBe('full');
    expect(replays.use(proof('b', 'more', 300_000), 0)).toBe('fresh');
    expect(replays.use(proof('a', 'more', 900_000), 400_000)).toBe('fresh');
  });

  test('of all keys together are bounded: first those who use the most are refused, then all', () => {
    const replays = new ProofReplays({ crowded: 10, fairShare: 3, total: 12 });
    for (let i = 0; i < 10; i += 1) {
      expect(replays.use(proof('busy', `${i}`, 300_000), 0)).toBe('fresh');
    }
    expect(replays.use(proof('busy', 'more', 300_000), 0)).toBe('full');
    expect(replays.use(proof('quiet', '1', 300_000), 0)).toBe('fresh');
    expect(replays.use(proof('quiet', '2', 300_000), 0)).toBe('fresh');
    // Nothing is forgotten to make room: what was used stays refused as such.
    expect(replays.use(proof('other', '1', 300_000), 0)).toBe('full');
    expect(replays.use(proof('busy', '0', 300_000), 0)).toBe('replayed');
    expect(replays.use(proof('busy', 'more', 900_000), 400_000)).toBe('fresh');
  });
});

describe('a proof is not remembered for somebody who has not shown a good token', () => {
  test('in an exchange, a refresh, a logout or a request that is refused for its token', async () => {
    await using own = await IdentityBench.start();
    const { access_token, refresh_token } = await own.login();
    const exchange = own.proof();
    expect(refusalOf(await own.exchange('e30.e30.e30', exchange))).toContain('HOOP_TOKEN_');
    expect((await own.exchange(await own.idToken(), exchange)).status).toBe(200);

    const logout = { method: 'POST', url: '/v1/logout', body: `token=${refresh_token}&all=true` };
    const logoutProof = own.proof({ url: `${GATEWAY}/v1/logout` });
    expect((await own.identity.logout({ ...logout, dpop: logoutProof })).status).toBe(200);
    const replayed = 'HOOP_PROOF_REPLAYED';
    expect(refusalOf(await own.identity.logout({ ...logout, dpop: logoutProof }))).toContain(
      replayed,
    );
    // The login is over now, and however often its proofs come they are not kept.
    const refresh = own.proof();
    const request = own.request(access_token);
    for (let i = 0; i < 2; i += 1) {
      expect(refusalOf(await own.refresh(refresh_token, refresh))).toContain('HOOP_TOKEN_REVOKED');
      await expect(own.identity.authenticate(request)).rejects.toMatchObject({
        code: 'HOOP_TOKEN_REVOKED',
      });
    }
  });

  test('but whoever shows one can use it once, however it ends', async () => {
    await using own = await IdentityBench.start();
    const dpop = own.proof();
    const token = await own.idToken();
    expect((await own.exchange(token, dpop)).status).toBe(200);
    expect(refusalOf(await own.exchange(await own.idToken(), dpop))).toContain(
      'HOOP_PROOF_REPLAYED',
    );
    const again = own.proof();
    expect(refusalOf(await own.exchange(token, again))).toContain('HOOP_TOKEN_REPLAYED');
    expect(refusalOf(await own.exchange(await own.idToken(), again))).toContain(
      'HOOP_PROOF_REPLAYED',
    );
  });
});

const forger = generateKeyPairSync('ed25519');

function publicJwk(): object {
  return forger.publicKey.export({ format: 'jwk' });
}

function otherJwk(): object {
  return generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
}

/** A proof that is right but for what the test changes. */
function forge(header: object, claims: object = {}, key: KeyObject = forger.privateKey): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ typ: 'dpop+jwt', alg: 'EdDSA', jwk: publicJwk(), ...header })}.${encode({
    jti: randomBytes(16).toString('base64url'),
    htm: 'GET',
    htu: `${GATEWAY}/v1/whoami`,
    iat: bench.nowSeconds(),
    nonce: bench.identity.nonceHeader(),
    ...claims,
  })}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`;
}
