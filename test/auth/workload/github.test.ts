import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { github } from '../../../src/auth/workload/github.ts';
import { HoopError } from '../../../src/errors.ts';
import { detect, found, TestPlatform } from './test-platform.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const signal = new AbortController().signal;

let actions: TestPlatform;
let env: Record<string, string>;
beforeAll(async () => {
  actions = await TestPlatform.start();
});
beforeEach(() => {
  env = {
    GITHUB_ACTIONS: 'true',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${actions.url}/token/abc?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-secret',
  };
  actions.requests.length = 0;
  actions.answer = async ({ url, headers }) =>
    headers.authorization === 'Bearer request-secret'
      ? {
          body: JSON.stringify({
            count: 1,
            value: await actions.issuer.mint({ aud: url.searchParams.get('audience') ?? '' }),
          }),
        }
      : { status: 401, body: '' };
});
afterAll(async () => {
  await actions[Symbol.asyncDispose]();
});

describe('GitHub Actions', () => {
  test('gives a token for the audience that is asked for', async () => {
    const token = await (await found(github, env)).fetchToken(AUDIENCE, signal);
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual({
      aud: AUDIENCE,
    });
    expect(actions.requests[0]?.url.searchParams.get('api-version')).toBe('2.0');
  });

  test('is not asked when it is only detected', async () => {
    await found(github, env);
    expect(actions.requests).toEqual([]);
  });

  test('is somewhere else without its variable', async () => {
    expect(await detect(github, {})).toEqual({
      state: 'absent',
      because: 'GITHUB_ACTIONS is not "true"',
    });
  });

  test('says which permission the job lacks', async () => {
    expect(await detect(github, { GITHUB_ACTIONS: 'true' })).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('id-token: write'),
    });
  });

  test.each([
    ['a refusal', () => ({ status: 403, body: 'eyJsecret' }), 'answers with status 403'],
    ['something without a token', () => ({ body: '{"count":0}' }), 'returned no token'],
    ['a page', () => ({ body: '<html>eyJsecret' }), 'returned no token'],
  ])('answers with %s, which is reported without its text', async (_title, answer, said) => {
    actions.answer = answer;
    const error = await (await found(github, env)).fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toBeInstanceOf(HoopError);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(said),
    });
    expect(`${error.message}${error.detail}${error.hint}`).not.toMatch(/secret/);
  });

  test('is not followed to another address with the request token', async () => {
    actions.answer = () => ({ status: 302, headers: { location: `${actions.url}/x` }, body: '' });
    await expect((await found(github, env)).fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
    });
    expect(actions.requests).toHaveLength(1);
  });

  test('gets the request token only over https or on this machine', async () => {
    const url = actions.url.replace('127.0.0.1', 'localhost');
    const workload = await found(github, { ...env, ACTIONS_ID_TOKEN_REQUEST_URL: url });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
    });
    expect(actions.requests).toEqual([]);
  });

  test('has another scope in another job', async () => {
    const other = { ...env, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'another' };
    expect((await found(github, env)).scope).not.toBe((await found(github, other)).scope);
  });
});
