import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { completeLogin } from '../../src/demo/complete-login.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import { listen } from '../auth/listen.ts';

let provider: OidcProvider;
/** Where logins end: the queries that came in. */
let answers: URLSearchParams[];
let redirectUri: string;
let close: () => Promise<void>;
beforeAll(async () => {
  provider = await startOidcProvider();
  answers = [];
  const server = createServer((request, response) => {
    answers.push(new URL(request.url ?? '', 'http://x').searchParams);
    response.end('done');
  });
  const listening = await listen(server);
  close = listening.close;
  redirectUri = `http://127.0.0.1:${listening.port}/a-random-path`;
});
afterAll(async () => {
  await close();
  await provider[Symbol.asyncDispose]();
});

const VERIFIER = 'v'.repeat(43);

function authorizationUrl(changes: Record<string, string | undefined> = {}): string {
  const query = {
    client_id: 'hoop-cli',
    response_type: 'code',
    scope: 'openid email profile groups',
    redirect_uri: redirectUri,
    state: 'the-state',
    nonce: 'the-nonce',
    code_challenge: createHash('sha256').update(VERIFIER).digest('base64url'),
    code_challenge_method: 'S256',
    ...changes,
  };
  const url = new URL(`${provider.issuer}/auth`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      url.searchParams.set(name, value);
    }
  }
  return url.href;
}

async function redeem(code: string, verifier = VERIFIER): Promise<Response> {
  return fetch(`${provider.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: 'hoop-cli',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    }),
  });
}

function account(name: string) {
  const found = provider.accounts.find((candidate) => candidate.name === name);
  if (found === undefined) {
    throw new Error(`no account ${name}`);
  }
  return found;
}

describe('the demo’s identity provider', () => {
  test.each([
    ['dba', ['dba', 'approvers']],
    ['engineer', ['engineering']],
    ['auditor', ['auditors']],
    ['devin', ['agents']],
  ])(
    'logs %s in and puts e-mail, name, groups and auth_time into the ID token',
    async (name, groups) => {
      await completeLogin(authorizationUrl(), account(name));
      const answer = answers.at(-1);
      expect(answer?.get('state')).toBe('the-state');
      expect(answer?.get('iss')).toBe(provider.issuer);
      const { id_token } = JSON.parse(await (await redeem(answer?.get('code') ?? '')).text());
      const claims = JSON.parse(Buffer.from(id_token.split('.')[1], 'base64url').toString());
      expect(claims).toMatchObject({
        iss: provider.issuer,
        aud: 'hoop-cli',
        sub: name,
        nonce: 'the-nonce',
        email: account(name).email,
        name: account(name).fullName,
        groups,
        auth_time: expect.any(Number),
      });
    },
  );

  test('gives a code once, and only with its PKCE verifier', async () => {
    await completeLogin(authorizationUrl(), account('dba'));
    const first = answers.at(-1)?.get('code') ?? '';
    expect((await redeem(first, 'w'.repeat(43))).status).toBe(400);
    await completeLogin(authorizationUrl(), account('dba'));
    const second = answers.at(-1)?.get('code') ?? '';
    expect((await redeem(second)).status).toBe(200);
    expect((await redeem(second)).status).toBe(400);
  });

  test.each([
    ['without PKCE', { code_challenge: undefined, code_challenge_method: undefined }],
    ['with plain PKCE', { code_challenge_method: 'plain' }],
    ['for another client', { client_id: 'other' }],
    ['with a redirect to another host', { redirect_uri: 'http://evil.example/' }],
    [
      'with a redirect to a name that starts like ours',
      { redirect_uri: 'http://127.0.0.1.evil.example/' },
    ],
    ['with a redirect to localhost', { redirect_uri: 'http://localhost:1234/x' }],
    ['with a redirect by https', { redirect_uri: 'https://127.0.0.1/x' }],
    ['with a user in the redirect', { redirect_uri: 'http://a@127.0.0.1/x' }],
  ])('refuses a request %s', async (_title, changes) => {
    const response = await fetch(authorizationUrl(changes), { redirect: 'manual' });
    const location = response.headers.get('location') ?? '';
    expect(location).not.toContain('/login/');
    expect(response.status === 400 || location.includes('error=')).toBe(true);
  });

  test('refuses a wrong password, and the password of another account', async () => {
    for (const password of ['', 'wrong', account('engineer').password]) {
      await expect(
        completeLogin(authorizationUrl(), { name: 'dba', password }),
      ).rejects.toMatchObject({ code: 'HOOP_LOGIN_FAILED' });
    }
  });

  test('makes other passwords and another key at each start', async () => {
    await using other = await startOidcProvider();
    expect(other.accounts[0]?.password).toMatch(/^[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}$/);
    expect(other.accounts[0]?.password).not.toBe(provider.accounts[0]?.password);
    const keys = async (issuer: string) => (await fetch(`${issuer}/jwks`)).text();
    expect(await keys(other.issuer)).not.toBe(await keys(provider.issuer));
  });

  test('shows a form that nothing from elsewhere can touch or frame', async () => {
    const start = await fetch(authorizationUrl(), { redirect: 'manual' });
    const cookie = start.headers
      .getSetCookie()
      .map((entry) => entry.split(';')[0])
      .join('; ');
    const page = await fetch(new URL(start.headers.get('location') ?? '', provider.issuer), {
      headers: { cookie },
    });
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(await page.text()).not.toMatch(/<script|https?:\/\//);
  });

  test('does not take a form without its cookie, nor one that is too large', async () => {
    const start = await fetch(authorizationUrl(), { redirect: 'manual' });
    const url = new URL(start.headers.get('location') ?? '', provider.issuer);
    const body = new URLSearchParams({ account: 'dba', password: account('dba').password });
    const without = await fetch(url, { method: 'POST', body, redirect: 'manual' });
    expect(without.status).toBe(400);
    const cookie = start.headers
      .getSetCookie()
      .map((entry) => entry.split(';')[0])
      .join('; ');
    const large = await fetch(url, {
      method: 'POST',
      headers: { cookie },
      body: new URLSearchParams({ account: 'dba', password: 'x'.repeat(5000) }),
      redirect: 'manual',
    });
    expect(large.status).toBe(400);
  });

  test('ends when it is disposed, twice too', async () => {
    const other = await startOidcProvider();
    await other[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await expect(fetch(other.issuer)).rejects.toThrow();
  });
});
