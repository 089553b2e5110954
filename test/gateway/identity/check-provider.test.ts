/** Against the demo's real provider, and answers that real ones were seen to give. */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import { type OidcProvider, startOidcProvider } from '../../../src/demo/oidc-provider.ts';
import { checkProvider } from '../../../src/gateway/identity/check-provider.ts';
import type { IdentityProvider } from '../../../src/gateway/identity/identity-provider.ts';
import { listen } from '../../auth/listen.ts';

const signal = new AbortController().signal;

let real: OidcProvider;
beforeAll(async () => {
  real = await startOidcProvider();
});
afterAll(async () => {
  await real[Symbol.asyncDispose]();
});

type Answer = readonly [status: number, body: object | string, headers?: Record<string, string>];
const PAGE = { 'content-type': 'text/html' };

function server(answers: Readonly<Record<string, Answer>>, issuer: () => string): RequestListener {
  return (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const base = issuer();
    const [status, body, headers] = answers[path] ?? defaults(base)[path] ?? [404, {}];
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

function defaults(base: string): Record<string, Answer> {
  return {
    '/.well-known/openid-configuration': [
      200,
      {
        issuer: base,
        authorization_endpoint: `${base}/auth`,
        token_endpoint: `${base}/token`,
        device_authorization_endpoint: `${base}/device`,
        jwks_uri: `${base}/keys`,
      },
    ],
    '/auth': [200, '<form>log in</form>', PAGE],
    '/token': [400, { error: 'invalid_grant', error_description: 'Code not valid' }],
    '/device': [400, { error: 'unauthorized_client' }],
  };
}

async function check(
  answers: Readonly<Record<string, Answer>>,
  provider: Partial<IdentityProvider> = {},
): Promise<string> {
  let issuer = '';
  const { port, close } = await listen(createServer(server(answers, () => issuer)));
  issuer = `http://127.0.0.1:${port}`;
  try {
    return await checkProvider({ issuer, clientId: 'hoop', ...provider }, signal);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await close();
  }
}

describe('the check of a provider', () => {
  test('is content with a real one, and with its client for device codes', async () => {
    const { issuer, clientId, deviceClientId } = real;
    const device = { clientId: deviceClientId };
    expect(await checkProvider({ issuer, clientId, device }, signal)).toBe(
      `"${clientId}" is a public client, no device codes for "${clientId}", device codes for "${deviceClientId}"`,
    );
  });

  test('finds an issuer with a slash at the end, and says what to write', async () => {
    const { issuer, clientId } = real;
    await expect(checkProvider({ issuer: `${issuer}/`, clientId }, signal)).rejects.toMatchObject({
      message: `the provider calls itself "${issuer}"`,
      hint: `Write \`issuer: ${issuer}\` into hoop.yaml.`,
    });
  });

  test('finds a client that a real provider does not know', async () => {
    const { issuer } = real;
    await expect(checkProvider({ issuer, clientId: 'nobody' }, signal)).rejects.toMatchObject({
      code: 'HOOP_CONFIG',
      message: 'the provider refuses logins of "nobody" with status 400',
    });
  });

  const redirected = (query: string): Answer => [
    302,
    '',
    { location: `http://127.0.0.1:49152/hoop-gateway-check?${query}` },
  ];
  const cases: readonly [string, Record<string, Answer>, string][] = [
    [
      'a page where a discovery document should be',
      { '/.well-known/openid-configuration': [200, '<!doctype html><p>Welcome', PAGE] },
      'there is no identity provider: it answers with a web page',
    ],
    [
      'a realm that does not exist',
      { '/.well-known/openid-configuration': [404, { error: 'Realm does not exist' }] },
      'there is no identity provider: it answers 404',
    ],
    [
      'a confidential client of Keycloak',
      {
        '/token': [
          401,
          { error: 'unauthorized_client', error_description: 'Invalid client credentials' },
        ],
      },
      'the client "hoop" is confidential: the provider wants a secret of it',
    ],
    [
      'a client of Google, which has a secret',
      {
        '/token': [
          400,
          { error: 'invalid_request', error_description: 'client_secret is missing.' },
        ],
      },
      'the client "hoop" is confidential: the provider wants a secret of it',
    ],
    [
      'a client that takes pushed requests only',
      {
        '/auth': redirected(
          'error=invalid_request&error_description=Pushed+Authorization+Request+is+only+allowed.',
        ),
      },
      'the client "hoop" takes pushed authorization requests only (PAR)',
    ],
    [
      'a scope that the client may not ask for',
      { '/auth': redirected('error=invalid_scope') },
      'the provider refuses logins of "hoop": invalid_scope',
    ],
    [
      'a client that is bound to DPoP',
      {
        '/token': [400, { error: 'invalid_request', error_description: 'DPoP proof is missing' }],
      },
      'the client "hoop" is bound to DPoP',
    ],
    [
      'a client that may not send people back to this machine',
      { '/auth': [400, '<p>Invalid parameter: redirect_uri</p>', PAGE] },
      'the provider refuses logins of "hoop" with status 400',
    ],
    [
      'a client for the browser that is given device codes',
      { '/device': [200, { device_code: 'x' }] },
      'the client "hoop" is given device codes',
    ],
  ];
  test.each(cases)('finds %s', async (_what, answers, message) => {
    expect(await check(answers)).toBe(message);
  });

  test('finds a client for device codes that is given none', async () => {
    expect(await check({}, { device: { clientId: 'hoop-device' } })).toBe(
      'the client "hoop-device" is given no device codes',
    );
  });

  test.each<[string, Answer]>([
    ['is busy, or under maintenance', [503, '<p>Back soon', PAGE]],
    ['breaks off its answer', [200, '{', { 'content-length': '999', connection: 'close' }]],
  ])('does not take one that %s for one that is not there', async (_what, answer) => {
    expect(await check({ '/.well-known/openid-configuration': answer })).toMatch(
      /^cannot reach "http:\/\/127\.0\.0\.1:\d+"$/,
    );
  });

  test('says why a provider cannot be reached', async () => {
    const { port, close } = await listen(createServer());
    await close();
    const gone = { issuer: `http://127.0.0.1:${port}`, clientId: 'hoop' };
    await expect(checkProvider(gone, signal)).rejects.toMatchObject({
      code: 'HOOP_IDP_UNREACHABLE',
      detail: 'connection refused',
    });
  });

  test('believes the private CA that the policy names, and says what is missing without', async () => {
    const ca = createCertificateAuthority();
    const { certificate, privateKey } = issueServerCertificate(ca, {
      names: [],
      ips: ['127.0.0.1'],
    });
    let issuer = '';
    const tls = createTlsServer(
      { cert: certificate, key: privateKey },
      server({}, () => issuer),
    );
    const { port, close } = await listen(tls);
    issuer = `https://127.0.0.1:${port}`;
    try {
      const provider = { issuer, clientId: 'hoop' };
      expect(await checkProvider({ ...provider, ca: ca.certificate }, signal)).toContain(
        'public client',
      );
      await expect(checkProvider(provider, signal)).rejects.toMatchObject({
        detail: expect.stringContaining('signed by an unknown CA; name a private one as `ca`'),
      });
      const other = createCertificateAuthority().certificate;
      await expect(checkProvider({ ...provider, ca: other }, signal)).rejects.toMatchObject({
        code: 'HOOP_IDP_UNREACHABLE',
      });
    } finally {
      await close();
    }
  });
});
