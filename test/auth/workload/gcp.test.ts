import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { gcp } from '../../../src/auth/workload/gcp.ts';
import { detect, found, type PlatformRequest, TestPlatform } from './test-platform.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const ACCOUNT = '/computeMetadata/v1/instance/service-accounts/default';
const FLAVOR = { 'metadata-flavor': 'Google' };
const signal = new AbortController().signal;

let metadata: TestPlatform;
let root: TestRoot;
let env: Record<string, string>;
beforeAll(async () => {
  metadata = await TestPlatform.start();
});
afterAll(async () => {
  await metadata[Symbol.asyncDispose]();
});
beforeEach(() => {
  root = new TestRoot();
  env = { GCE_METADATA_HOST: new URL(metadata.url).host };
  metadata.requests.length = 0;
  metadata.answer = answerAsGoogle;
});
afterEach(() => root[Symbol.dispose]());

async function answerAsGoogle(request: PlatformRequest) {
  if (request.headers['metadata-flavor'] !== 'Google' || request.headers['x-forwarded-for']) {
    return { status: 403, headers: FLAVOR, body: '<html>Forbidden' };
  }
  if (request.url.pathname === `${ACCOUNT}/email`) {
    return { headers: FLAVOR, body: 'vm@project.iam.gserviceaccount.com' };
  }
  if (request.url.pathname === `${ACCOUNT}/identity`) {
    return { headers: FLAVOR, body: await mint(request.url.searchParams.get('audience') ?? '') };
  }
  return { status: 404, headers: FLAVOR, body: 'not found' };
}

function mint(aud: string): Promise<string> {
  return metadata.issuer.mint({
    iss: 'https://accounts.google.com',
    aud,
    sub: '107517467455664443765',
    email: 'vm@project.iam.gserviceaccount.com',
    google: { compute_engine: { project_number: 739419398126, instance_id: '152986662232938449' } },
  });
}

describe('Google Cloud', () => {
  test('gives a full token for the audience that is asked for', async () => {
    const token = await (await found(gcp, env, root.path)).fetchToken(AUDIENCE, signal);
    expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toEqual(
      expect.objectContaining({ aud: AUDIENCE, sub: '107517467455664443765' }),
    );
    expect(metadata.requests.at(-1)?.url.searchParams.get('format')).toBe('full');
  });

  test('is not asked where nothing says that this is a machine of Google', async () => {
    root.dmi('product_name', 'Standard PC (Q35 + ICH9, 2009)');
    expect(await detect(gcp, {}, root.path)).toMatchObject({ state: 'absent' });
    expect(metadata.requests).toEqual([]);
  });

  test('is known by DMI, and by the variables of Cloud Run', async () => {
    expect(await found(gcp, { ...env, K_SERVICE: 'job' }, root.path)).toMatchObject({
      because: 'GCE_METADATA_HOST is set and the metadata server answers',
    });
    root.dmi('product_name', 'Google Compute Engine');
    expect(await found(gcp, env, root.path)).toMatchObject({
      because: 'DMI says "Google Compute Engine" and the metadata server answers',
    });
  });

  test('a server that never answers is not waited for', async () => {
    metadata.answer = () => new Promise(() => undefined);
    expect(await detect(gcp, env, root.path)).toMatchObject({
      state: 'absent',
      because: expect.stringContaining('no metadata server answers'),
    });
  });

  test.each([
    ['without its mark', { body: 'ok' }],
    ['with the mark of another', { headers: { 'metadata-flavor': 'google' }, body: 'ok' }],
    ['with a page', { headers: { 'content-type': 'text/html' }, body: '<html>portal' }],
    ['by sending elsewhere', { status: 302, headers: { ...FLAVOR, location: '/x' }, body: '' }],
  ])('who answers %s is not the metadata server', async (_title, answer) => {
    metadata.answer = () => answer;
    expect(await detect(gcp, env, root.path)).toMatchObject({ state: 'absent' });
  });

  test('says that a machine has no service account', async () => {
    metadata.answer = () => ({ status: 404, headers: FLAVOR, body: 'not found' });
    expect(await detect(gcp, env, root.path)).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('service account'),
    });
  });

  test.each([
    ['without its mark', { body: 'eyJsecret' }, 'something other than'],
    ['a refusal', { status: 503, headers: FLAVOR, body: 'eyJsecret' }, 'with status 503'],
    ['a page', { headers: FLAVOR, body: '<html>eyJsecret' }, 'not a token'],
  ])('an answer %s gives no token, and is not quoted', async (_title, answer, said) => {
    const workload = await found(gcp, env, root.path);
    metadata.answer = () => answer;
    const error = await workload.fetchToken(AUDIENCE, signal).catch((e) => e);
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining(said),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('eyJ');
  });

  test('an answer that is too large is not read to its end', async () => {
    const workload = await found(gcp, env, root.path);
    metadata.answer = () => ({ headers: FLAVOR, body: 'x'.repeat(100_000) });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      code: 'HOOP_TOO_LARGE',
    });
  });

  test('a token for somebody else is not passed on', async () => {
    const workload = await found(gcp, env, root.path);
    metadata.answer = async () => ({ headers: FLAVOR, body: await mint('https://evil.example') });
    await expect(workload.fetchToken(AUDIENCE, signal)).rejects.toMatchObject({
      message: expect.stringContaining('meant for somebody else'),
    });
  });

  test('ends when the command does', async () => {
    const workload = await found(gcp, env, root.path);
    const controller = new AbortController();
    metadata.answer = () => {
      controller.abort(new Error('enough'));
      return new Promise(() => undefined);
    };
    await expect(workload.fetchToken(AUDIENCE, controller.signal)).rejects.toThrow('enough');
  });
});
