/** A provider that answers as it should not: what the client itself notices. */
import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loginAtProvider } from '../../src/auth/provider-login.ts';
import { listen } from './listen.ts';

/** How the next login goes wrong. */
interface Behaviour {
  /** Changes the query that the browser brings back. */
  readonly answer?: (query: URLSearchParams) => void;
  readonly idToken?: Record<string, unknown>;
  readonly token?: { readonly status: number; readonly body: object };
  readonly metadata?: object;
}

let behaviour: Behaviour;
let issuer: string;
let close: () => Promise<void>;
/** What the token endpoint was sent. */
let redeemed: URLSearchParams[];
let nonce: string;
beforeEach(async () => {
  behaviour = {};
  redeemed = [];
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  const server = createServer();
  const listening = await listen(server);
  close = listening.close;
  issuer = `http://127.0.0.1:${listening.port}`;
  const respond = async (request: IncomingMessage): Promise<[number, object]> => {
    switch (request.url) {
      case '/.well-known/openid-configuration':
        return [
          200,
          {
            issuer,
            authorization_endpoint: `${issuer}/auth`,
            token_endpoint: `${issuer}/token`,
            jwks_uri: `${issuer}/keys`,
            id_token_signing_alg_values_supported: ['ES256'],
            authorization_response_iss_parameter_supported: true,
            ...behaviour.metadata,
          },
        ];
      case '/keys':
        return [200, { keys: [{ ...jwk, alg: 'ES256' }] }];
      default: {
        redeemed.push(new URLSearchParams(await text(request)));
        if (behaviour.token !== undefined) {
          return [behaviour.token.status, behaviour.token.body];
        }
        const now = Math.floor(Date.now() / 1000);
        const claims = { iss: issuer, aud: 'hoop-cli', sub: 'u', nonce, iat: now, exp: now + 60 };
        const idToken = await new SignJWT({ ...claims, ...behaviour.idToken })
          .setProtectedHeader({ alg: 'ES256' })
          .sign(privateKey);
        return [200, { access_token: 'x', token_type: 'Bearer', id_token: idToken }];
      }
    }
  };
  server.on('request', (request, response) => {
    void respond(request).then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
  });
});
afterEach(async () => {
  await close();
});

/** The browser's part: straight back to the listener, with what the test makes of the answer. */
async function browse(url: string): Promise<boolean> {
  const asked = new URL(url).searchParams;
  nonce = asked.get('nonce') ?? '';
  const back = new URL(asked.get('redirect_uri') ?? '');
  back.search = new URLSearchParams({
    code: 'the-code',
    state: asked.get('state') ?? '',
    iss: issuer,
  }).toString();
  behaviour.answer?.(back.searchParams);
  await fetch(back).then((response) => response.text());
  return true;
}

function login(signal = new AbortController().signal): Promise<{ name: string; gateway: string }> {
  return loginAtProvider(
    {
      provider: { issuer, clientId: 'hoop-cli', scopes: ['openid', 'email'] },
      showUrl: () => undefined,
      openBrowser: browse,
      note: () => undefined,
      signal,
    },
    async ({ idToken }) => ({ name: idToken, gateway: 'https://gw' }),
  );
}

describe('a login at a provider', () => {
  test('gives the ID token, and proves with PKCE that the code is ours', async () => {
    const { name } = await login();
    expect(name.split('.')).toHaveLength(3);
    expect(redeemed).toHaveLength(1);
    expect(redeemed[0]?.get('code')).toBe('the-code');
    expect(redeemed[0]?.get('code_verifier')).toMatch(/^[\w-]{43,128}$/);
    expect(redeemed[0]?.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}$/);
    expect(redeemed[0]?.has('client_secret')).toBe(false);
  });

  const cases: readonly [string, Behaviour, object][] = [
    [
      'the answer names another issuer (RFC 9207)',
      { answer: (query) => query.set('iss', 'https://evil.example') },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the answer names no issuer though the provider says that it does',
      { answer: (query) => query.delete('iss') },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the answer has no code',
      { answer: (query) => query.delete('code') },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the answer has two codes',
      { answer: (query) => query.append('code', 'evil') },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the answer is an error of the provider',
      {
        answer: (query) => {
          query.delete('code');
          query.set('error', 'access_denied');
          query.set('error_description', 'you are not on the list');
        },
      },
      {
        message: 'the identity provider refused the login: access_denied',
        detail: 'you are not on the list.',
      },
    ],
    [
      'the ID token has another nonce',
      { idToken: { nonce: 'other' } },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the ID token has no nonce',
      { idToken: { nonce: undefined } },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the ID token is for another client',
      { idToken: { aud: 'other' } },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the ID token is of another issuer',
      { idToken: { iss: 'https://evil.example' } },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'there is no ID token',
      { token: { status: 200, body: { access_token: 'x', token_type: 'Bearer' } } },
      { message: 'the answer of the identity provider cannot be accepted' },
    ],
    [
      'the provider does not take the code',
      { token: { status: 400, body: { error: 'invalid_grant' } } },
      { message: 'the identity provider refused the login: invalid_grant' },
    ],
  ];
  test.each(cases)('fails when %s', async (_title, misbehave, expected) => {
    behaviour = misbehave;
    await expect(login()).rejects.toMatchObject({ code: 'HOOP_LOGIN_FAILED', ...expected });
  });

  test('never redeems a code of an answer that it does not accept', async () => {
    behaviour = { answer: (query) => query.set('iss', 'https://evil.example') };
    await expect(login()).rejects.toThrow();
    expect(redeemed).toEqual([]);
  });

  test('fails when the metadata is of another issuer', async () => {
    behaviour = { metadata: { issuer: 'https://evil.example' } };
    await expect(login()).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
  });

  test('ends with a failed browser at once, not after five minutes', async () => {
    const broken = loginAtProvider(
      {
        provider: { issuer, clientId: 'hoop-cli', scopes: ['openid'] },
        showUrl: () => undefined,
        openBrowser: () => Promise.reject(new Error('the form refused us')),
        note: () => undefined,
        signal: new AbortController().signal,
      },
      async () => ({ name: 'x', gateway: 'y' }),
    );
    await expect(broken).rejects.toThrow('the form refused us');
  });
});
