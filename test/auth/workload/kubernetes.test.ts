import { chmodSync, lchownSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { aks } from '../../../src/auth/workload/aks.ts';
import { kubernetes } from '../../../src/auth/workload/kubernetes.ts';
import { TestIssuer } from '../../gateway/identity/test-issuer.ts';
import { detect, found } from './test-platform.ts';
import { TestRoot } from './test-root.ts';

const AUDIENCE = 'https://gw.example.com/workload';
const TOKEN = '/var/run/secrets/hoop/token';
const DEFAULT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const ENV = { KUBERNETES_SERVICE_HOST: '10.96.0.1', HOSTNAME: 'pod-1' };
/** Nobody who runs these tests. */
const SOMEBODY_ELSE = 54_321;
const signal = new AbortController().signal;

let issuer: TestIssuer;
let root: TestRoot;
beforeAll(async () => {
  issuer = await TestIssuer.start();
});
afterAll(async () => {
  await issuer[Symbol.asyncDispose]();
});
beforeEach(() => {
  root = new TestRoot();
});
afterEach(() => root[Symbol.dispose]());

function mint(audience: string): Promise<string> {
  return issuer.mint({
    iss: 'https://kubernetes.default.svc.cluster.local',
    aud: [audience],
    sub: 'system:serviceaccount:shop:report',
    'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'report', uid: 'uid-1' } },
  });
}

async function fetchFrom(env: Record<string, string> = ENV): Promise<string> {
  return (await found(kubernetes, env, root.path)).fetchToken(AUDIENCE, signal);
}

describe('Kubernetes', () => {
  test('reads the projected token, and reads it again when the cluster has renewed it', async () => {
    const first = await mint(AUDIENCE);
    root.write(TOKEN, first);
    const workload = await found(kubernetes, ENV, root.path);
    expect(await workload.fetchToken(AUDIENCE, signal)).toBe(first);
    const second = await mint(AUDIENCE);
    root.write(TOKEN, `${second}\n`);
    expect(await workload.fetchToken(AUDIENCE, signal)).toBe(second);
  });

  test('follows the links that a projected volume is made of', async () => {
    const token = await mint(AUDIENCE);
    root.write('/var/run/secrets/hoop/..2026_11_21/token', token);
    const directory = join(root.path, '/var/run/secrets/hoop');
    symlinkSync('..2026_11_21', join(directory, '..data'));
    symlinkSync('..data/token', join(directory, 'token'));
    expect(await fetchFrom()).toBe(token);
  });

  test('reads the file that HOOP_IDENTITY_TOKEN_FILE names', async () => {
    const token = await mint(AUDIENCE);
    root.write('/elsewhere/token', token);
    expect(await fetchFrom({ ...ENV, HOOP_IDENTITY_TOKEN_FILE: '/elsewhere/token' })).toBe(token);
  });

  test('is somewhere else outside of a cluster', async () => {
    expect(await detect(kubernetes, {}, root.path)).toMatchObject({ state: 'absent' });
  });

  test('says how to project a token when there is only the one that every pod has', async () => {
    root.write(DEFAULT_TOKEN, await mint('https://kubernetes.default.svc'));
    expect(await detect(kubernetes, ENV, root.path)).toMatchObject({
      state: 'unusable',
      hint: expect.stringContaining('serviceAccountToken'),
    });
  });

  test('never sends the token that every pod has, even when it is named', async () => {
    const token = await mint('https://kubernetes.default.svc.cluster.local');
    root.write(DEFAULT_TOKEN, token);
    const error = await fetchFrom({ ...ENV, HOOP_IDENTITY_TOKEN_FILE: DEFAULT_TOKEN }).catch(
      (e) => e,
    );
    expect(error).toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: 'Kubernetes provided no token: its token is meant for somebody else',
      detail: `Its audience is "https://kubernetes.default.svc.cluster.local"; the gateway takes tokens for "${AUDIENCE}" only.`,
      hint: expect.stringContaining('serviceAccountToken'),
    });
    expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain(token);
  });

  test('never sends a token that the API server would take as well', async () => {
    const both = await issuer.mint({ aud: [AUDIENCE, 'https://kubernetes.default.svc'] });
    root.write(TOKEN, both);
    await expect(fetchFrom()).rejects.toMatchObject({ code: 'HOOP_WORKLOAD_TOKEN' });
  });

  test.each([
    ['is empty', ''],
    ['has no token in it', '<html>not a token</html>'],
    ['has a token that is cut short', 'eyJhbGciOiJFUzI1NiJ9.eyJhdWQi'],
  ])('a file that %s is refused', async (_title, text) => {
    root.write(TOKEN, text);
    await expect(fetchFrom()).rejects.toMatchObject({
      code: 'HOOP_WORKLOAD_TOKEN',
      message: expect.stringContaining('is not a token'),
    });
  });

  test('a file that is too large is refused without being read whole', async () => {
    root.write(TOKEN, 'x'.repeat(65 * 1024));
    await expect(fetchFrom()).rejects.toMatchObject({ code: 'HOOP_TOO_LARGE' });
  });

  test('a directory in the place of the file is no token', async () => {
    mkdirSync(join(root.path, TOKEN), { recursive: true });
    await expect(fetchFrom()).rejects.toMatchObject({ code: 'HOOP_WORKLOAD_TOKEN' });
  });

  test('a file that everybody may write to is refused', async () => {
    chmodSync(root.write(TOKEN, await mint(AUDIENCE)), 0o666);
    await expect(fetchFrom()).rejects.toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      detail: 'Everybody can write to it.',
    });
  });

  // Only root can give a file away; everybody else cannot make what is tested here.
  describe.runIf(process.getuid?.() === 0)('with files of somebody else', () => {
    test('a token of another user is refused', async () => {
      lchownSync(root.write(TOKEN, await mint(AUDIENCE)), SOMEBODY_ELSE, SOMEBODY_ELSE);
      await expect(fetchFrom()).rejects.toMatchObject({
        code: 'HOOP_LOCAL_STATE',
        detail: 'It belongs to another user.',
      });
    });

    test('a link of another user is refused, even to a file of ours', async () => {
      const ours = root.write('/home/ours', await mint(AUDIENCE));
      const link = root.write(TOKEN, '');
      rmSync(link);
      symlinkSync(ours, link);
      lchownSync(link, SOMEBODY_ELSE, SOMEBODY_ELSE);
      await expect(fetchFrom()).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
    });

    test('a link of ours to a file of another user is refused', async () => {
      const theirs = root.write('/tmp/theirs', await mint(AUDIENCE));
      lchownSync(theirs, SOMEBODY_ELSE, SOMEBODY_ELSE);
      const link = root.write(TOKEN, '');
      rmSync(link);
      symlinkSync(theirs, link);
      await expect(fetchFrom()).rejects.toMatchObject({ code: 'HOOP_LOCAL_STATE' });
    });
  });
});

describe('AKS workload identity', () => {
  test('says to project a second token, because its own is for Entra', async () => {
    expect(
      await detect(aks, { AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/azure/tokens/token' }),
    ).toMatchObject({ state: 'unusable', hint: expect.stringContaining('second token') });
    expect(await detect(aks, {})).toMatchObject({ state: 'absent' });
  });
});
