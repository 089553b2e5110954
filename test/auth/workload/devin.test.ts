import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { devin } from '../../../src/auth/workload/devin.ts';
import { detect, found, TestPlatform } from './test-platform.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const FILE = '/opt/.devin/oidc_token';
const signal = new AbortController().signal;

let service: TestPlatform;
let root: TestRoot;
let general: string;
beforeAll(async () => {
  service = await TestPlatform.start();
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
});
beforeEach(async () => {
  root = new TestRoot();
  general = await service.issuer.mint({ iss: service.url, org_id: 'org-1', devin_id: 'devin-1' });
  root.write(FILE, `${general}\n`, 0o600);
  service.requests.length = 0;
  service.answer = async ({ method, url, body }) => {
    const form = new URLSearchParams(body);
    if (method !== 'POST' || url.pathname !== '/api/oidc/token') {
      return { status: 404, body: '<html>' };
    }
    if (
      form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:token-exchange' ||
      form.get('subject_token_type') !== 'urn:ietf:params:oauth:token-type:jwt' ||
      form.get('subject_token') !== general
    ) {
      return { status: 400, body: '{"error":"invalid_request"}' };
    }
    const access_token = await service.issuer.mint({
      iss: service.url,
      aud: form.get('audience') ?? '',
      sub: 'org_id:org-1',
      org_id: 'org-1',
      devin_id: 'devin-1',
    });
    return { body: JSON.stringify({ access_token, token_type: 'Bearer', expires_in: 60 }) };
  };
});
afterEach(() => root[Symbol.dispose]());

describe('Devin', () => {
  test('exchanges the token of its session for one for the gateway', async () => {
    const token = await (await found(devin, {}, root.path)).fetchToken(AUDIENCE, signal);
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual(
      expect.objectContaining({ aud: AUDIENCE, org_id: 'org-1', devin_id: 'devin-1' }),
    );
    expect(new URLSearchParams(service.requests[0]?.body).get('subject_keys')).toBe('org_id');
  });

  test('is somewhere else without its file', async () => {
    expect(await detect(devin, { DEVIN_OIDC_TOKEN_FILE: '/nowhere' }, root.path)).toEqual({
      state: 'absent',
      because: 'there is no "/nowhere"',
    });
  });

  test('reads the file that DEVIN_OIDC_TOKEN_FILE names, and asks where DEVIN_OIDC_EXCHANGE_URL says', async () => {
    general = await service.issuer.mint({ iss: 'https://app.devin.example' });
    root.write('/elsewhere', general);
    const workload = await found(
      devin,
      {
        DEVIN_OIDC_TOKEN_FILE: '/elsewhere',
        DEVIN_OIDC_EXCHANGE_URL: `${service.url}/api/oidc/token`,
      },
      root.path,
    );
    expect(await workload.fetchToken(AUDIENCE, signal)).toContain('.');
  });

  test.each([
    ['http://evil.example', undefined],
    ['', undefined],
    ['https://app.devin.example', 'http://git-manager.local:7000/elsewhere'],
    ['https://app.devin.example', 'http://git-manager.local.evil.example:7000/oidc/token'],
    ['https://app.devin.example', 'ftp://app.devin.example/'],
  ])(
    'the token of the session does not go out in clear (issuer "%s", address "%s")',
    async (iss, url) => {
      root.write(FILE, await service.issuer.mint({ iss }));
      const workload = await found(
        devin,
        url === undefined ? {} : { DEVIN_OIDC_EXCHANGE_URL: url },
        root.path,
      );
      await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
        code: 'HOOP_WORKLOAD_TOKEN',
        message: expect.stringContaining('does not use https'),
      });
    },
  );

  test('names the proxy of an organisation that must exchange through one', async () => {
    service.answer = () => ({ status: 403, body: '{"detail":"must use the git proxy"}' });
    await expect(
      (await found(devin, {}, root.path)).fetchToken(AUDIENCE, signal),
    ).rejects.toMatchObject({ hint: expect.stringContaining('DEVIN_OIDC_EXCHANGE_URL=http') });
  });

  test.each([
    ['a refusal', { status: 401, body: 'eyJsecret' }],
    ['a page', { body: '<html>eyJsecret' }],
    ['an answer without a token', { body: '{"token_type":"Bearer"}' }],
  ])('%s is reported without its text', async (_title, answer) => {
    service.answer = () => answer;
    const error = await (await found(devin, {}, root.path))
      .fetchToken(AUDIENCE, signal)
      .catch((e) => e);
    expect(error).toMatchObject({ code: 'HOOP_WORKLOAD_TOKEN' });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('eyJ');
  });

  test('the token of the session does not follow to another address', async () => {
    service.answer = () => ({ status: 307, headers: { location: `${service.url}/x` }, body: '' });
    await expect(
      (await found(devin, {}, root.path)).fetchToken(AUDIENCE, signal),
    ).rejects.toMatchObject({ code: 'HOOP_UNREACHABLE' });
    expect(service.requests).toHaveLength(1);
  });

  test('the general token itself never goes to the gateway', async () => {
    service.answer = () => ({ body: JSON.stringify({ access_token: general }) });
    await expect(
      (await found(devin, {}, root.path)).fetchToken(AUDIENCE, signal),
    ).rejects.toMatchObject({ message: expect.stringContaining('meant for somebody else') });
  });

  test('a file without a token is named', async () => {
    root.write(FILE, 'nothing');
    await expect(
      (await found(devin, {}, root.path)).fetchToken(AUDIENCE, signal),
    ).rejects.toMatchObject({ message: expect.stringContaining(FILE) });
  });
});
