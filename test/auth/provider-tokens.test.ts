/** What the client asks of a provider behind a private CA: a login, its renewal, its end. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loginAtProvider } from '../../src/auth/provider-login.ts';
import { logoutAtProvider } from '../../src/auth/provider-logout.ts';
import { refreshAtProvider } from '../../src/auth/provider-refresh.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import { AnsweringProvider, CLIENT_ID as clientId } from './answering-provider.ts';

const authority = createCertificateAuthority();
const ca = authority.certificate;

let provider: AnsweringProvider;
let issuer: string;
beforeEach(async () => {
  const { certificate, privateKey } = issueServerCertificate(authority, {
    names: [],
    ips: ['127.0.0.1'],
  });
  provider = await AnsweringProvider.start({ cert: certificate, key: privateKey });
  issuer = provider.issuer;
  provider.tokens = { refresh_token: 'refresh-2' };
  provider.metadata = {
    revocation_endpoint: `${issuer}/revoke`,
    end_session_endpoint: `${issuer}/end`,
  };
});
afterEach(async () => {
  await provider[Symbol.asyncDispose]();
});

function login(trusted: string | undefined): Promise<{ name: string; gateway: string }> {
  return loginAtProvider(
    {
      provider: { issuer, clientId, scopes: ['openid'], ca: trusted },
      showUrl: () => undefined,
      openBrowser: (url) => provider.browse(url),
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
    expect(provider.asked).toMatchObject([
      ['/token', { grant_type: 'refresh_token', refresh_token: 'refresh-1', client_id: clientId }],
    ]);
  });

  test('is over when the provider refuses, with its words, and gave none at the login', async () => {
    provider.reply = {
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

  test.each([
    [503, 'temporarily_unavailable'],
    [429, 'too_many_requests'],
    [408, 'invalid_request'],
    [400, 'temporarily_unavailable'],
    [400, 'server_error'],
    [400, 'slow_down'],
  ])('waits for a provider that answers %i %s', async (status, error) => {
    provider.reply = { status, body: { error } };
    await expect(renew()).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
  });

  test.each([
    'invalid_grant',
    'invalid_client',
    'unauthorized_client',
    'login_required',
    'something new',
  ])('is over when the provider answers 400 %s', async (error) => {
    provider.reply = { status: 400, body: { error } };
    await expect(renew()).rejects.toMatchObject({ code: 'HOOP_NOT_LOGGED_IN' });
  });

  test('waits for a provider that cannot be reached', async () => {
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
    expect(provider.asked).toMatchObject([
      ['/revoke', { token: 'refresh-1', client_id: clientId }],
    ]);
    // Nothing in the address says whose session it is, and no token is in the browser's history.
    expect(url).not.toContain('refresh-1');
  });

  test('says what the provider does not have', async () => {
    provider.metadata = {};
    expect(await end()).toEqual({ issuer, isRevoked: false, url: undefined });
    expect(provider.asked).toEqual([]);
  });

  test('sends the browser nowhere that is not safe', async () => {
    provider.metadata = { end_session_endpoint: 'http://login.example.org/end' };
    await expect(end()).rejects.toMatchObject({ code: 'HOOP_LOGIN_FAILED' });
  });
});
