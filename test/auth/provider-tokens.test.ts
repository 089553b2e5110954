/** What the client asks of a provider behind a private CA: a login, its renewal, its end. */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loginAtProvider } from '../../src/auth/provider-login.ts';
import { logoutAtProvider } from '../../src/auth/provider-logout.ts';
import { refreshAtProvider } from '../../src/auth/provider-refresh.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import { listen } from './listen.ts';

const authority = createCertificateAuthority();
const ca = authority.certificate;
const clientId = 'hoop-cli';

let issuer: string;
let close: () => Promise<void>;
/** Of the token endpoint; undefined: it gives an ID token. */
let refusal: { readonly status: number; readonly body: object } | undefined;
let metadata: object;
let nonce: string | undefined;
/** Path and form of each request. */
let asked: (readonly [string, Record<string, string>])[];
beforeEach(async () => {
  refusal = undefined;
  nonce = undefined;
  asked = [];
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256' };
  const { certificate, privateKey: key } = issueServerCertificate(authority, {
    names: [],
    ips: ['127.0.0.1'],
  });
  const server = createServer({ cert: certificate, key });
  const listening = await listen(server);
  close = listening.close;
  issuer = `https://127.0.0.1:${listening.port}`;
  metadata = {
    revocation_endpoint: `${issuer}/revoke`,
    end_session_endpoint: `${issuer}/end`,
  };
  const respond = async (request: IncomingMessage): Promise<[number, object]> => {
    const form = Object.fromEntries(new URLSearchParams(await text(request)));
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
            ...metadata,
          },
        ];
      case '/keys':
        return [200, { keys: [jwk] }];
      default: {
        asked.push([request.url ?? '', form]);
        if (request.url === '/revoke') return [200, {}];
        if (refusal !== undefined) return [refusal.status, refusal.body];
        const now = Math.floor(Date.now() / 1000);
        const idToken = await new SignJWT({
          iss: issuer,
          aud: clientId,
          sub: 'u',
          iat: now,
          exp: now + 60,
          ...(nonce === undefined ? {} : { nonce }),
        })
          .setProtectedHeader({ alg: 'ES256' })
          .sign(privateKey);
        const tokens = { access_token: 'x', token_type: 'Bearer', refresh_token: 'refresh-2' };
        return [200, { ...tokens, id_token: idToken }];
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

async function browse(url: string): Promise<boolean> {
  const query = new URL(url).searchParams;
  nonce = query.get('nonce') ?? '';
  const back = new URL(query.get('redirect_uri') ?? '');
  back.search = new URLSearchParams({ code: 'c', state: query.get('state') ?? '' }).toString();
  await fetch(back).then((response) => response.text());
  return true;
}

function login(trusted: string | undefined): Promise<{ name: string; gateway: string }> {
  return loginAtProvider(
    {
      provider: { issuer, clientId, scopes: ['openid'], ca: trusted },
      showUrl: () => undefined,
      openBrowser: browse,
      note: () => undefined,
      signal: new AbortController().signal,
    },
    async ({ refreshToken }) => ({ name: refreshToken ?? 'none', gateway: 'https://gw' }),
  );
}

describe('a login behind a private CA', () => {
  test('goes with the one that the policy names, and not without', async () => {
    expect((await login(ca)).name).toBe('refresh-2');
    await expect(login(undefined)).rejects.toMatchObject({
      code: 'HOOP_IDP_UNREACHABLE',
      detail: expect.stringContaining('signed by an unknown CA'),
    });
    await expect(login(createCertificateAuthority().certificate)).rejects.toMatchObject({
      code: 'HOOP_IDP_UNREACHABLE',
    });
  });
});

describe('a login that the provider must confirm', () => {
  const renew = (refreshToken: string | undefined = 'refresh-1') =>
    refreshAtProvider({ issuer, clientId, ca, refreshToken });

  test('gets a new ID token, and keeps the refresh token that comes with it', async () => {
    const renewed = await renew();
    expect(renewed).toMatchObject({ issuer, clientId, refreshToken: 'refresh-2' });
    expect(renewed.idToken.split('.')).toHaveLength(3);
    expect(asked).toMatchObject([
      ['/token', { grant_type: 'refresh_token', refresh_token: 'refresh-1', client_id: clientId }],
    ]);
  });

  test('is over when the provider refuses, with its words, and gave none at the login', async () => {
    refusal = {
      status: 400,
      body: { error: 'invalid_grant', error_description: 'User disabled.' },
    };
    await expect(renew()).rejects.toMatchObject({
      code: 'HOOP_NOT_LOGGED_IN',
      detail: `"${issuer}" says: User disabled.`,
    });
    await expect(
      refreshAtProvider({ issuer, clientId, ca, refreshToken: undefined }),
    ).rejects.toMatchObject({ code: 'HOOP_NOT_LOGGED_IN' });
  });

  test('waits for a provider that fails or cannot be reached', async () => {
    refusal = { status: 503, body: { error: 'temporarily_unavailable' } };
    await expect(renew()).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
    await expect(
      refreshAtProvider({ issuer, clientId, ca: undefined, refreshToken: 'refresh-1' }),
    ).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
  });
});

describe('a logout at the provider', () => {
  const end = (refreshToken: string | undefined = 'refresh-1') =>
    logoutAtProvider({ issuer, clientId, ca, refreshToken });

  test('gives the refresh token back and names where the browser logs out', async () => {
    const { isRevoked, url } = await end();
    expect(isRevoked).toBe(true);
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/end/);
    expect(asked).toMatchObject([['/revoke', { token: 'refresh-1', client_id: clientId }]]);
    // Nothing in the address says whose session it is, and no token is in the browser's history.
    expect(url).not.toContain('refresh-1');
  });

  test('says what the provider does not have', async () => {
    metadata = {};
    expect(await end()).toEqual({ issuer, isRevoked: false, url: undefined });
    expect(asked).toEqual([]);
  });

  test('sends the browser nowhere that is not safe', async () => {
    metadata = { end_session_endpoint: 'http://login.example.org/end' };
    await expect(end()).rejects.toMatchObject({ code: 'HOOP_LOGIN_FAILED' });
  });
});
