import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { azureAppService } from '../../../src/auth/workload/azure-app-service.ts';
import { azureVm } from '../../../src/auth/workload/azure-vm.ts';
import { detect, found, type PlatformRequest, TestPlatform } from './test-platform.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const TENANT = '72f988bf-0000-4000-8000-000000000001';
const ASSET_TAG = '7783-7084-3265-9085-8269-3286-77';
const signal = new AbortController().signal;

let azure: TestPlatform;
let root: TestRoot;
beforeAll(async () => {
  azure = await TestPlatform.start();
});
afterAll(async () => {
  await azure[Symbol.asyncDispose]();
});
beforeEach(() => {
  root = new TestRoot();
  azure.requests.length = 0;
});
afterEach(() => root[Symbol.dispose]());

async function entraToken(request: PlatformRequest) {
  const resource = request.url.searchParams.get('resource') ?? '';
  if (resource !== AUDIENCE) {
    return json({ error: 'invalid_resource', error_description: 'AADSTS500011: eyJsecret' }, 400);
  }
  return json({
    access_token: await azure.issuer.mint({
      iss: `https://sts.windows.net/${TENANT}/`,
      aud: resource,
      tid: TENANT,
      oid: 'oid-1',
    }),
    client_id: request.url.searchParams.get('client_id') ?? 'system',
    expires_on: '1900000000',
    resource,
    token_type: 'Bearer',
  });
}

function json(body: object, status = 200) {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function claimsOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

describe('Azure VM', () => {
  let env: Record<string, string>;
  beforeEach(() => {
    env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.url };
    azure.answer = async (request) => {
      // As the real one: not without the header, and not for what somebody forwarded.
      if (request.headers['metadata'] !== 'true' || request.headers['x-forwarded-for']) {
        return json({ error: 'Bad request. Required metadata header not specified' }, 400);
      }
      return request.url.pathname === '/metadata/identity/oauth2/token'
        ? entraToken(request)
        : json({ compute: { vmId: 'vm-1' } });
    };
  });

  test('gives a token of its managed identity for the audience that is asked for', async () => {
    const token = await (await found(azureVm, env, root.path)).fetchToken(AUDIENCE, signal);
    expect(claimsOf(token)).toMatchObject({ aud: AUDIENCE, tid: TENANT, oid: 'oid-1' });
    expect(Object.fromEntries(azure.requests.at(-1)?.url.searchParams ?? [])).toEqual({
      'api-version': '2018-02-01',
      resource: AUDIENCE,
    });
  });

  test('asks for the identity that AZURE_CLIENT_ID names', async () => {
    const named = { ...env, AZURE_CLIENT_ID: 'client-1' };
    await (await found(azureVm, named, root.path)).fetchToken(AUDIENCE, signal);
    expect(azure.requests.at(-1)?.url.searchParams.get('client_id')).toBe('client-1');
  });

  test('is not asked where DMI does not have the asset tag of Azure', async () => {
    root.dmi('chassis_asset_tag', 'Not Specified');
    expect(await detect(azureVm, {}, root.path)).toMatchObject({ state: 'absent' });
  });

  test('is known by the asset tag, and not waited for when it does not answer', async () => {
    root.dmi('chassis_asset_tag', ASSET_TAG);
    azure.answer = () => new Promise(() => undefined);
    expect(await detect(azureVm, env, root.path)).toMatchObject({
      state: 'absent',
      because: expect.stringContaining('no metadata service answers'),
    });
  });

  test('is not asked in a pod, where it would answer for the node', async () => {
    root.dmi('chassis_asset_tag', ASSET_TAG);
    expect(await detect(azureVm, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, root.path)).toMatchObject(
      { state: 'absent', because: expect.stringContaining('represents the node') },
    );
  });

  test('says that the tenant must know the audience, without what Entra said', async () => {
    const workload = await found(azureVm, env, root.path);
    const error = await workload
      .fetchToken('https://other.example.com/workload', signal)
      .catch((e) => e);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('status 400 (invalid_resource)'),
      hint: expect.stringContaining('Application ID URI'),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('eyJ');
  });

  test.each([
    ['asks for a pause', json({ error: 'throttled' }, 429), 'Try again'],
    ['is down', { status: 503, body: '<html>' }, 'Try again'],
    ['has no identity', json({ error: 'invalid_request' }, 400), 'Assign a managed identity'],
    ['says something long', json({ error: 'eyJ'.repeat(100) }, 400), 'Assign a managed identity'],
  ])('a service that %s is reported with what to do', async (_title, answer, hint) => {
    const workload = await found(azureVm, env, root.path);
    azure.answer = () => answer;
    const error = await workload.fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({ hint: expect.stringContaining(hint) });
    expect(error.message).not.toContain('eyJ');
  });

  test.each([
    ['a page', { body: '<html>eyJsecret' }],
    ['JSON without a token', json({ token_type: 'Bearer' })],
    ['a list', { body: '["eyJsecret"]' }],
  ])('%s is no token', async (_title, answer) => {
    const workload = await found(azureVm, env, root.path);
    azure.answer = () => answer;
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      message: expect.stringContaining('returned no token'),
    });
  });

  test('a token of version 2, which is made out to the application by its id, is explained', async () => {
    const workload = await found(azureVm, env, root.path);
    const token = await azure.issuer.mint({ aud: 'application-guid', tid: TENANT });
    azure.answer = () => json({ access_token: token });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      detail: expect.stringContaining('application-guid'),
      hint: expect.stringContaining('requestedAccessTokenVersion'),
    });
  });

  test('is not followed to another address', async () => {
    const workload = await found(azureVm, env, root.path);
    azure.answer = () => ({ status: 302, headers: { location: `${azure.url}/x` }, body: '' });
    azure.requests.length = 0;
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
    });
    expect(azure.requests).toHaveLength(1);
  });
});

describe('Azure App Service', () => {
  let env: Record<string, string>;
  beforeEach(() => {
    env = { IDENTITY_ENDPOINT: `${azure.url}/msi/token`, IDENTITY_HEADER: 'header-secret' };
    azure.answer = async (request) =>
      request.headers['x-identity-header'] === 'header-secret' &&
      request.url.searchParams.get('api-version') === '2019-08-01'
        ? entraToken(request)
        : json({ statusCode: 401, message: 'header-secret' }, 401);
  });

  test('gives a token for the audience that is asked for', async () => {
    const workload = await found(azureAppService, { ...env, AZURE_CLIENT_ID: 'client-1' });
    expect(claimsOf(await workload.fetchToken(AUDIENCE, signal))).toMatchObject({ aud: AUDIENCE });
    expect(azure.requests[0]?.url.searchParams.get('client_id')).toBe('client-1');
  });

  test('keeps what an endpoint has in its query', async () => {
    const workload = await found(azureAppService, {
      ...env,
      IDENTITY_ENDPOINT: `${env['IDENTITY_ENDPOINT']}?x=1`,
    });
    await workload.fetchToken(AUDIENCE, signal);
    expect(azure.requests[0]?.url.searchParams.get('x')).toBe('1');
  });

  test('is told from Azure Arc and Service Fabric, which set some of its variables', async () => {
    const { IDENTITY_HEADER: _gone, ...arc } = env;
    expect(await detect(azureAppService, arc)).toMatchObject({ state: 'absent' });
    expect(
      await detect(azureAppService, { ...env, IDENTITY_SERVER_THUMBPRINT: 'ab' }),
    ).toMatchObject({ state: 'absent' });
  });

  test.each([
    'http://evil.example/msi/token',
    'http://10.0.0.1/msi/token',
    'http://127.0.0.1.evil.example/msi/token',
    'http://169.254.evil.example/',
    'file:///etc/passwd',
    'not an address',
  ])('its secret does not go to %s', async (url) => {
    const workload = await found(azureAppService, { ...env, IDENTITY_ENDPOINT: url });
    const error = await workload.fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('not an address of this host'),
    });
    expect(azure.requests).toEqual([]);
  });

  test('a wrong secret is reported without it', async () => {
    const workload = await found(azureAppService, { ...env, IDENTITY_HEADER: 'old-secret' });
    const error = await workload.fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({ message: expect.stringContaining('status 401') });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('secret');
  });
});
