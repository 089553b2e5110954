/** A provider that answers as it should not: what the client itself notices. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loginAtProvider } from '../../src/auth/provider-login.ts';
import { AnsweringProvider, CLIENT_ID } from './answering-provider.ts';

/** How the next login goes wrong. */
type Behaviour = Partial<Pick<AnsweringProvider, 'answer' | 'idToken' | 'reply' | 'metadata'>>;

let provider: AnsweringProvider;
beforeEach(async () => {
  provider = await AnsweringProvider.start();
});
afterEach(async () => {
  await provider[Symbol.asyncDispose]();
});

function login(signal = new AbortController().signal): Promise<{ name: string; gateway: string }> {
  return loginAtProvider(
    {
      provider: { issuer: provider.issuer, clientId: CLIENT_ID, scopes: ['openid', 'email'] },
      showUrl: () => undefined,
      openBrowser: (url) => provider.browse(url),
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
    expect(provider.asked).toHaveLength(1);
    const form = provider.asked[0]?.[1];
    expect(form?.['code']).toBe('the-code');
    expect(form?.['code_verifier']).toMatch(/^[\w-]{43,128}$/);
    expect(form?.['redirect_uri']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}$/);
    expect(form).not.toHaveProperty('client_secret');
  });

  const cases: readonly [string, Behaviour, object][] = [
    [
      'the answer names another issuer (RFC 9207)',
      { answer: (query) => query.set('iss', 'https://evil.example') },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the answer names no issuer though the provider says that it does',
      { answer: (query) => query.delete('iss') },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the answer has no code',
      { answer: (query) => query.delete('code') },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the answer has two codes',
      { answer: (query) => query.append('code', 'evil') },
      { message: 'the identity provider’s answer is not acceptable' },
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
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the ID token has no nonce',
      { idToken: { nonce: undefined } },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the ID token is for another client',
      { idToken: { aud: 'other' } },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the ID token is of another issuer',
      { idToken: { iss: 'https://evil.example' } },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'there is no ID token',
      { reply: { status: 200, body: { access_token: 'x', token_type: 'Bearer' } } },
      { message: 'the identity provider’s answer is not acceptable' },
    ],
    [
      'the provider does not take the code',
      { reply: { status: 400, body: { error: 'invalid_grant' } } },
      { message: 'the identity provider refused the login: invalid_grant' },
    ],
  ];
  test.each(cases)('fails when %s', async (_title, misbehave, expected) => {
    Object.assign(provider, misbehave);
    await expect(login()).rejects.toMatchObject({ code: 'HOOP_LOGIN_FAILED', ...expected });
  });

  test('never redeems a code of an answer that it does not accept', async () => {
    provider.answer = (query) => query.set('iss', 'https://evil.example');
    await expect(login()).rejects.toThrow();
    expect(provider.asked).toEqual([]);
  });

  test('fails when the metadata is of another issuer', async () => {
    provider.metadata = { issuer: 'https://evil.example' };
    await expect(login()).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
  });

  test('ends with a failed browser at once, not after five minutes', async () => {
    const broken = loginAtProvider(
      {
        provider: { issuer: provider.issuer, clientId: CLIENT_ID, scopes: ['openid'] },
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
