import { createHmac } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ErrorBody } from '../../../src/api/http.ts';
import { generateDpopKey } from '../../../src/client/dpop-key.ts';
import { whoamiReply } from '../../../src/gateway/identity/whoami-reply.ts';
import { GATEWAY, IdentityBench, refusalOf, tokens } from './identity-bench.ts';
import { makeKey, TestIssuer } from './test-issuer.ts';
import { workloadRulesOf } from './workload-rules-of.ts';

const AUDIENCE = `${GATEWAY}/workload`;

let bench: IdentityBench;
beforeAll(async () => {
  bench = await IdentityBench.start();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

const DEPLOY = {
  name: 'deploy',
  platform: 'github',
  claims: { repository_id: '100', ref: 'refs/heads/main' },
  show: ['run_id'],
  principal: 'ci/{run_id}',
  groups: ['ci', 'auditors'],
};

function job(changes: Record<string, unknown> = {}): JWTPayload {
  const now = bench.nowSeconds();
  return {
    iss: bench.issuer.issuer,
    aud: AUDIENCE,
    sub: 'repo:org/app:ref:refs/heads/main',
    repository: 'org/app',
    repository_id: '100',
    ref: 'refs/heads/main',
    event_name: 'push',
    run_id: '7',
    iat: now,
    nbf: now - 5,
    exp: now + 300,
    jti: `${Math.random()}`,
    ...changes,
  };
}

beforeEach(() => {
  bench.workloads = workloadRulesOf({ ...DEPLOY, issuer: bench.issuer.issuer });
});

describe('a workload', () => {
  test('logs in with the token of its platform', async () => {
    const reply = tokens(await bench.exchangeWorkload(await bench.issuer.mint(job())));
    const who = await bench.identity.authenticate(bench.request(reply.access_token));
    expect(who.principal).toEqual({
      kind: 'workload',
      issuer: bench.issuer.issuer,
      loginKey: who.jkt,
      sub: 'repo:org/app:ref:refs/heads/main',
      name: 'workload:ci/7',
      email: undefined,
      groups: ['ci', 'auditors'],
      roles: ['auditor'],
    });
    expect(who.audience).toBe(AUDIENCE);
    expect(whoamiReply(who)).toMatchObject({
      kind: 'workload',
      workload: {
        entry: 'deploy',
        platform: 'github',
        entries: [{ name: 'deploy', fits: true, problems: [] }],
      },
    });
  });

  test('says for whom it works where the entry names the claim', async () => {
    bench.workloads = workloadRulesOf({
      ...DEPLOY,
      issuer: bench.issuer.issuer,
      requester: 'actor',
    });
    const token = await bench.issuer.mint(job({ actor: 'ann@example.com' }));
    const reply = tokens(await bench.exchangeWorkload(token));
    const who = await bench.identity.authenticate(bench.request(reply.access_token));
    expect(who.principal).toMatchObject({ name: 'workload:ci/7', requester: 'ann@example.com' });
    expect(who.principal.email).toBeUndefined();
    expect(whoamiReply(who)).toMatchObject({
      requester: { name: 'ann@example.com', claimedBy: 'issuer' },
    });
  });

  test('goes on with its handle, and is out as soon as the policy drops its entry', async () => {
    const first = tokens(await bench.exchangeWorkload(await bench.issuer.mint(job())));
    const second = tokens(await bench.refresh(first.refresh_token));
    bench.workloads = workloadRulesOf({
      ...DEPLOY,
      issuer: bench.issuer.issuer,
      claims: { repository_id: '100', ref: 'refs/heads/release' },
    });
    await expect(
      bench.identity.authenticate(bench.request(second.access_token)),
    ).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_CLAIM',
      detail: 'deploy: "ref" is "refs/heads/main", not "refs/heads/release".',
    });
    expect(refusalOf(await bench.refresh(second.refresh_token))).toContain('HOOP_WORKLOAD_CLAIM');
    bench.workloads = [];
    expect(refusalOf(await bench.refresh(second.refresh_token))).toContain('HOOP_TOKEN_ISSUER');
  });

  test('makes its login last longer with its next token, and keeps it', async () => {
    await using own = await IdentityBench.start();
    own.workloads = workloadRulesOf({ ...DEPLOY, issuer: own.issuer.issuer });
    const mint = () =>
      own.issuer.mint({
        ...job({ iss: own.issuer.issuer, iat: own.nowSeconds(), exp: own.nowSeconds() + 300 }),
      });
    const first = tokens(await own.exchangeWorkload(await mint()));
    expect(first.login_expires_in).toBe(3600);
    const before = await own.identity.authenticate(own.request(first.access_token));
    own.pass(50 * 60_000);
    const second = tokens(await own.exchangeWorkload(await mint()));
    expect(second.login_expires_in).toBe(3600);
    const after = await own.identity.authenticate(own.request(second.access_token));
    expect(after.family).toBe(before.family);
    own.pass(61 * 60_000);
    expect(refusalOf(await own.refresh(second.refresh_token))).toContain('HOOP_TOKEN_EXPIRED');
  });

  test('of another key gets a login of its own', async () => {
    const other = generateDpopKey();
    const mine = tokens(await bench.exchangeWorkload(await bench.issuer.mint(job())));
    const theirs = tokens(await bench.exchangeWorkload(await bench.issuer.mint(job()), other));
    const a = await bench.identity.authenticate(bench.request(mine.access_token));
    const b = await bench.identity.authenticate(bench.request(theirs.access_token, {}, other));
    expect(a.family).not.toBe(b.family);
  });

  test('may send one token again with the same key, but nobody with another', async () => {
    const token = await bench.issuer.mint(job());
    const thief = generateDpopKey();
    tokens(await bench.exchangeWorkload(token));
    tokens(await bench.exchangeWorkload(token));
    expect(refusalOf(await bench.exchangeWorkload(token, thief))).toBe(
      '401 HOOP_TOKEN_BOUND: the workload token belongs to another key',
    );
    bench.restart();
    expect(refusalOf(await bench.exchangeWorkload(token, thief))).toContain('HOOP_TOKEN_BOUND');
    tokens(await bench.exchangeWorkload(token));
  });

  test('with the second form of an ECDSA signature is the same token', async () => {
    const token = await bench.issuer.mint(job());
    tokens(await bench.exchangeWorkload(token));
    const twin = `${token.slice(0, token.lastIndexOf('.'))}.${twinOf(token.split('.')[2] ?? '')}`;
    expect(refusalOf(await bench.exchangeWorkload(twin, generateDpopKey()))).toContain(
      'HOOP_TOKEN_BOUND',
    );
  });

  test('that is refused has not bound its token', async () => {
    const token = await bench.issuer.mint(job({ ref: 'refs/heads/x' }));
    expect(refusalOf(await bench.exchangeWorkload(token))).toContain('HOOP_WORKLOAD_CLAIM');
    bench.workloads = workloadRulesOf({
      ...DEPLOY,
      issuer: bench.issuer.issuer,
      claims: { repository_id: '100' },
    });
    tokens(await bench.exchangeWorkload(token, generateDpopKey()));
  });

  test('cannot be logged in as with a person’s ID token, nor a person with its token', async () => {
    const personal = await bench.idToken();
    expect(refusalOf(await bench.exchangeWorkload(personal))).toContain('HOOP_TOKEN_AUDIENCE');
    expect(refusalOf(await bench.exchange(await bench.issuer.mint(job())))).toContain(
      'HOOP_TOKEN_AUDIENCE',
    );
  });
});

describe('a login that is revoked', () => {
  const other = generateDpopKey();
  const signOut = async (handle: string, isAll: boolean) => {
    const reply = await bench.identity.logout({
      method: 'POST',
      url: '/v1/logout',
      dpop: bench.proof({ url: `${GATEWAY}/v1/logout` }),
      body: new URLSearchParams({ token: handle, ...(isAll ? { all: 'true' } : {}) }).toString(),
    });
    expect(reply.status).toBe(200);
  };
  const REVOKED = '401 HOOP_TOKEN_REVOKED: the workload token has ended with its login';

  test('takes the tokens of this subject with it, of every key, also across a restart', async () => {
    const sub = 'repo:org/app:ref:refs/heads/main';
    const [mine, theirs, stranger] = [
      await bench.issuer.mint(job()),
      await bench.issuer.mint(job()),
      await bench.issuer.mint(job({ sub: `${sub}2` })),
    ];
    const { refresh_token } = tokens(await bench.exchangeWorkload(mine));
    tokens(await bench.exchangeWorkload(theirs, other));
    tokens(await bench.exchangeWorkload(stranger));
    await signOut(refresh_token, true);
    expect(refusalOf(await bench.exchangeWorkload(mine))).toBe(REVOKED);
    expect(refusalOf(await bench.exchangeWorkload(theirs, other))).toBe(REVOKED);
    const twin = `${mine.slice(0, mine.lastIndexOf('.'))}.${twinOf(mine.split('.')[2] ?? '')}`;
    expect(refusalOf(await bench.exchangeWorkload(twin))).toBe(REVOKED);
    bench.restart();
    expect(refusalOf(await bench.exchangeWorkload(mine))).toBe(REVOKED);
    // Another subject's token, and the next one that the platform signs for this.
    tokens(await bench.exchangeWorkload(stranger));
    tokens(await bench.exchangeWorkload(await bench.issuer.mint(job())));
  });

  test('stays so where the login itself has run out and is forgotten', async () => {
    await using own = await IdentityBench.start();
    own.workloads = workloadRulesOf({ ...DEPLOY, issuer: own.issuer.issuer });
    const now = own.nowSeconds();
    const token = await own.issuer.mint(
      job({ iss: own.issuer.issuer, iat: now, exp: now + 6 * 3600 }),
    );
    tokens(await own.exchangeWorkload(token));
    await own.identity.revoke({
      issuer: own.issuer.issuer,
      sub: 'repo:org/app:ref:refs/heads/main',
    });
    own.pass(5 * 3600_000);
    await own.store.prune(own.now());
    expect(refusalOf(await own.exchangeWorkload(token))).toBe(REVOKED);
    own.pass(2 * 3600_000);
    await own.store.prune(own.now());
    expect(refusalOf(await own.exchangeWorkload(token))).toContain('HOOP_TOKEN_EXPIRED');
  });

  test('by a handle that two hold takes the tokens of its key, and no other job’s', async () => {
    const mine = await bench.issuer.mint(job());
    const parallel = await bench.issuer.mint(job());
    const first = tokens(await bench.exchangeWorkload(mine));
    tokens(await bench.exchangeWorkload(parallel, other));
    const second = tokens(await bench.refresh(first.refresh_token));
    tokens(await bench.refresh(second.refresh_token));
    expect(refusalOf(await bench.refresh(first.refresh_token))).toContain('HOOP_TOKEN_REPLAYED');
    expect(refusalOf(await bench.exchangeWorkload(mine))).toBe(REVOKED);
    tokens(await bench.exchangeWorkload(parallel, other));
  });

  test('by the job’s own logout leaves it its token: the next command logs in', async () => {
    const token = await bench.issuer.mint(job());
    const { refresh_token, access_token } = tokens(await bench.exchangeWorkload(token));
    await signOut(refresh_token, false);
    await expect(bench.identity.authenticate(bench.request(access_token))).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
    });
    tokens(await bench.exchangeWorkload(token));
  });
});

describe('a token is refused', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['for another audience', { aud: GATEWAY }, '401 HOOP_TOKEN_AUDIENCE'],
    ['for this gateway and another', { aud: [AUDIENCE, 'https://x'] }, '401 HOOP_TOKEN_AUDIENCE'],
    ['without an audience', { aud: undefined }, '401 HOOP_TOKEN_CLAIM'],
    ['of a fork', { repository_id: '999' }, '403 HOOP_WORKLOAD_CLAIM'],
    ['of a pull request', { event_name: 'pull_request' }, '403 HOOP_WORKLOAD_EVENT'],
    [
      'of a branch that is called like a subject',
      {
        ref: 'refs/heads/x:environment:prod',
        sub: 'repo:org/app:ref:refs/heads/x:environment:prod',
      },
      '403 HOOP_WORKLOAD_CLAIM',
    ],
    ['after its end', { exp: 1 }, '401 HOOP_TOKEN_EXPIRED'],
    ['without an end', { exp: undefined }, '401 HOOP_TOKEN_CLAIM'],
    ['with a text as its end', { exp: '9999999999' }, '401 HOOP_TOKEN_CLAIM'],
    ['that is good for a year', { exp: 4e9 }, '401 HOOP_TOKEN_TOO_LONG'],
    ['before its time', { nbf: 3e9 }, '401 HOOP_TOKEN_NOT_YET_VALID'],
    ['without a subject', { sub: undefined }, '401 HOOP_TOKEN_CLAIM'],
  ])('%s', async (_title, changes, refusal) => {
    const token = await bench.issuer.mint(job(changes));
    expect(refusalOf(await bench.exchangeWorkload(token))).toContain(refusal);
  });

  test('of an issuer with a slash more, and the slash is named', async () => {
    const token = await bench.issuer.mint(job({ iss: `${bench.issuer.issuer}/` }));
    const reply = await bench.exchangeWorkload(token);
    expect(refusalOf(reply)).toContain('401 HOOP_TOKEN_ISSUER');
    expect(ErrorBody.parse(reply.body).error.detail).toContain('the trailing slash matters');
  });

  test('of an issuer that only the token names, which nobody asks for keys', async () => {
    await using evil = await TestIssuer.start();
    const token = await evil.mint(job({ iss: evil.issuer }));
    expect(refusalOf(await bench.exchangeWorkload(token))).toContain('401 HOOP_TOKEN_ISSUER');
    expect(evil.fetches).toBe(0);
  });

  test('with a key set or key in its header, which nobody reads', async () => {
    await using evil = await TestIssuer.start();
    const header = { jku: `${evil.issuer}/keys`, jwk: evil.key.publicJwk, kid: evil.key.kid };
    const token = await evil.mint(job(), { header });
    expect(refusalOf(await bench.exchangeWorkload(token))).toMatch(/HOOP_TOKEN_(SIGNATURE|KEY)/);
    expect(evil.fetches).toBe(0);
  });

  test('of an unknown key', async () => {
    const token = await bench.issuer.mint(job(), { key: await makeKey('other', 'ES256') });
    expect(refusalOf(await bench.exchangeWorkload(token))).toContain('401 HOOP_TOKEN_KEY');
  });

  test('with another algorithm: none, or the public key as a shared secret', async () => {
    const [, payload = ''] = (await bench.issuer.mint(job())).split('.');
    for (const alg of ['none', 'HS256']) {
      const header = encode({ alg, kid: bench.issuer.key.kid });
      const secret = JSON.stringify(bench.issuer.key.publicJwk);
      const signature =
        alg === 'none'
          ? ''
          : createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
      expect(
        refusalOf(await bench.exchangeWorkload(`${header}.${payload}.${signature}`)),
      ).toContain('401 HOOP_TOKEN_ALGORITHM');
    }
  });

  test('with an algorithm that is not that of its key', async () => {
    const [header = '', payload = '', signature = ''] = (await bench.issuer.mint(job())).split('.');
    const other = encode({
      ...JSON.parse(Buffer.from(header, 'base64url').toString()),
      alg: 'RS256',
    });
    expect(refusalOf(await bench.exchangeWorkload(`${other}.${payload}.${signature}`))).toMatch(
      /401 HOOP_TOKEN_(KEY|SIGNATURE)/,
    );
  });

  test('that is an access token or a proof', async () => {
    for (const typ of ['at+jwt', 'dpop+jwt']) {
      const token = await bench.issuer.mint(job(), { header: { typ } });
      expect(refusalOf(await bench.exchangeWorkload(token))).toContain('401 HOOP_TOKEN_TYPE');
    }
  });

  test('of 100 KB, and a request of a megabyte', async () => {
    const large = await bench.issuer.mint(job({ filler: 'x'.repeat(75_000) }));
    expect(refusalOf(await bench.exchangeWorkload(large))).toContain('HOOP_TOKEN_MALFORMED');
    expect(refusalOf(await bench.exchangeWorkload('x'.repeat(1024 * 1024)))).toContain(
      '413 HOOP_TOO_LARGE',
    );
  });

  test('and never quoted', async () => {
    const token = await bench.issuer.mint(job({ ref: 'refs/heads/x' }));
    const { detail, message, hint } = ErrorBody.parse(
      (await bench.exchangeWorkload(token)).body,
    ).error;
    expect(`${detail}${message}${hint}`).not.toContain(token.split('.')[1]);
    expect(hint).toContain('whoami --explain');
    expect(detail).toBe('deploy: "ref" is "refs/heads/x", not "refs/heads/main".');
  });

  test('before anything is told about entries when its signature is wrong', async () => {
    const forged = await bench.issuer.mint(job({ ref: 'refs/heads/x' }), {
      key: await makeKey(bench.issuer.key.kid, 'ES256'),
    });
    const { code, detail } = ErrorBody.parse((await bench.exchangeWorkload(forged)).body).error;
    expect(code).toBe('HOOP_TOKEN_SIGNATURE');
    expect(detail ?? '').not.toContain('refs/heads');
  });
});

describe('two clusters with one issuer', () => {
  const issuer = 'https://kubernetes.default.svc.cluster.local';
  const claims = { sub: 'system:serviceaccount:ci:deploy', serviceaccount_uid: 'u-1' };
  const account = (kid: string, uid = 'u-1') => ({
    token: {
      ...job({ iss: issuer, sub: claims.sub, aud: [AUDIENCE] }),
      'kubernetes.io': { namespace: 'ci', serviceaccount: { name: 'deploy', uid } },
    },
    kid,
  });
  afterEach(() => {
    bench.workloads = [];
  });

  test('are told apart by their keys, and their accounts are different principals', async () => {
    const [a, b] = [await makeKey('a', 'RS256'), await makeKey('b', 'RS256')];
    bench.workloads = workloadRulesOf(
      ...[a, b].map((key) => ({
        name: `cluster-${key.kid}`,
        platform: 'kubernetes',
        issuer,
        jwks: { keys: [key.publicJwk] },
        claims,
        groups: [key.kid],
      })),
    );
    const whoOf = async (key: typeof a) => {
      const { token } = account(key.kid);
      const reply = tokens(await bench.exchangeWorkload(await bench.issuer.mint(token, { key })));
      return (await bench.identity.authenticate(bench.request(reply.access_token))).principal;
    };
    const [first, second] = [await whoOf(a), await whoOf(b)];
    expect([first.groups, second.groups]).toEqual([['a'], ['b']]);
    expect(first.issuer).not.toBe(second.issuer);
    const stranger = await makeKey('c', 'RS256');
    const forged = await bench.issuer.mint(account('c').token, { key: stranger });
    expect(refusalOf(await bench.exchangeWorkload(forged))).toContain('HOOP_TOKEN_KEY');
  });

  test('an account that was deleted and made again is refused', async () => {
    const key = await makeKey('a', 'RS256');
    bench.workloads = workloadRulesOf({
      name: 'k',
      platform: 'kubernetes',
      issuer,
      jwks: { keys: [key.publicJwk] },
      claims,
      groups: ['ci'],
    });
    const token = await bench.issuer.mint(account('a', 'u-2').token, { key });
    expect(refusalOf(await bench.exchangeWorkload(token))).toContain('HOOP_WORKLOAD_CLAIM');
  });
});

test('a JWT-SVID without an issuer is known by its trust domain, and not by one that begins like it', async () => {
  const key = await makeKey('td', 'ES256');
  bench.workloads = workloadRulesOf({
    name: 'api',
    platform: 'spiffe',
    issuer: 'spiffe://prod.example',
    jwks: { keys: [{ ...key.publicJwk, use: 'jwt-svid' }] },
    claims: { sub: 'spiffe://prod.example/api' },
    principal: '{sub}',
    groups: ['api'],
  });
  const svid = (sub: string) =>
    bench.issuer.mint(
      job({ iss: undefined, iat: undefined, nbf: undefined, aud: [AUDIENCE], sub }),
      {
        key,
      },
    );
  const reply = tokens(await bench.exchangeWorkload(await svid('spiffe://prod.example/api')));
  const who = await bench.identity.authenticate(bench.request(reply.access_token));
  expect(who.principal.name).toBe('workload:spiffe://prod.example/api');
  expect(
    refusalOf(await bench.exchangeWorkload(await svid('spiffe://prod.example.evil/api'))),
  ).toContain('HOOP_TOKEN_ISSUER');
  expect(
    refusalOf(await bench.exchangeWorkload(await svid('spiffe://prod.example/api/admin'))),
  ).toContain('HOOP_WORKLOAD_CLAIM');
});

test('nobody is called like a workload by what he calls himself', async () => {
  const { access_token } = await bench.login({
    email: undefined,
    preferred_username: 'workload:x',
  });
  const who = await bench.identity.authenticate(bench.request(access_token));
  expect(who.principal.name).toBe('u-1');
});

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** r | n − s: as good a signature as r | s. */
function twinOf(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url');
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = (n - s).toString(16).padStart(64, '0');
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(twin, 'hex')]).toString('base64url');
}
