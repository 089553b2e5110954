import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { login } from '../../src/auth/login.ts';
import { withStateLock } from '../../src/auth/state-lock.ts';
import { completeLogin } from '../../src/demo/complete-login.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import { locateHome } from '../../src/home.ts';
import { type TemporaryHome, temporaryHome } from './command-run.ts';
import { startTestGateway, type TestGateway } from './test-gateway.ts';

const run = promisify(execFile);
const child = fileURLToPath(new URL('./refresh-child.ts', import.meta.url));
/** Reading the types out of 200 modules is half of what such a process costs; the first one keeps it. */
const compiled = join(inject('sharedDirectory'), 'refresh-child');
function runChild({ env }: TemporaryHome): Promise<{ stdout: string }> {
  return run(process.execPath, [child], { env: { ...env, NODE_COMPILE_CACHE: compiled } });
}

/** One for the gateway's nonce, one that renews. */
const REQUESTS = 2;
const never = new AbortController().signal;

let provider: OidcProvider;
let gateway: TestGateway;
beforeAll(async () => {
  provider = await startOidcProvider();
  gateway = await startTestGateway(provider);
  using home = temporaryHome();
  expect((await runChild(home)).stdout).toBe('HOOP_NOT_LOGGED_IN');
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

async function loggedIn(): Promise<TemporaryHome> {
  const home = temporaryHome();
  const [account] = provider.accounts;
  if (account === undefined) {
    throw new Error('no account');
  }
  await login({
    home: locateHome(home.env),
    config: { tokenStore: 'file' },
    gateway: gateway.url,
    ca: gateway.caFile,
    openBrowser: async (url) => {
      await completeLogin(url, account);
      return true;
    },
    note: () => undefined,
    signal: never,
  });
  return home;
}

function readTokens(home: TemporaryHome): { expiresAtMs: number; refreshToken: string } {
  return JSON.parse(readFileSync(join(home.path, 'tokens.json'), 'utf8')).tokens[gateway.url];
}

function expire(home: TemporaryHome): void {
  const tokens = { [gateway.url]: { ...readTokens(home), expiresAtMs: 0 } };
  writeFileSync(join(home.path, 'tokens.json'), JSON.stringify({ v: 1, tokens }), { mode: 0o600 });
}

describe('a token that several processes find expired at once', () => {
  test('is renewed by one of them, and all go on with it', async () => {
    using home = await loggedIn();
    expire(home);
    gateway.grants.length = 0;
    const results = await Promise.all(Array.from({ length: 20 }, () => runChild(home)));
    expect(results.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 20 }, () => 'dba'));
    expect(gateway.grants.filter((grant) => grant === 'refresh_token')).toHaveLength(REQUESTS);
    // One rotation: the handle went from generation 0 to 1.
    expect(readTokens(home).refreshToken.split('.')[2]).toBe('1');
  });

  test('is renewed in spite of a process that was killed with the lock in its hand', async () => {
    using home = await loggedIn();
    expire(home);
    const holder = await startHolder(join(home.path, 'tokens.lock'));
    const waiting = runChild(home);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    expect((await waiting).stdout).toBe('dba');
  });

  test('is renewed with the same handle when the reply to the first attempt was lost', async () => {
    using home = await loggedIn();
    expire(home);
    let lost = 0;
    gateway.intercept = async (context) => {
      if (context.req.path !== '/v1/token' || lost > 0) {
        return undefined;
      }
      const body = await context.req.text();
      const reply = await gateway.identity.token({
        method: 'POST',
        url: context.req.url,
        dpop: context.req.header('dpop'),
        body,
      });
      // The first request without nonce is refused; the one that is granted gets lost.
      lost += reply.status === 200 ? 1 : 0;
      return reply.status === 200
        ? new Response('a proxy’s page', { status: 502 })
        : new Response(JSON.stringify(reply.body), {
            status: reply.status,
            headers: reply.headers,
          });
    };
    const first = await runChild(home);
    gateway.intercept = undefined;
    expect(first.stdout).toBe('HOOP_GATEWAY_BAD_REPLY');
    expect((await runChild(home)).stdout).toBe('dba');
    expect(readTokens(home).refreshToken.split('.')[2]).toBe('1');
  });
});

describe('the lock', () => {
  test('lets one in at a time, in one process too', async () => {
    using home = temporaryHome();
    const path = join(home.path, 'x.lock');
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, () =>
        withStateLock(path, never, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
  });

  test('is free again after an error', async () => {
    using home = temporaryHome();
    const path = join(home.path, 'x.lock');
    await expect(
      withStateLock(path, never, () => Promise.reject(new Error('inside'))),
    ).rejects.toThrow('inside');
    await expect(withStateLock(path, never, async () => 'in')).resolves.toBe('in');
  });

  test('is not waited for by who is told to stop', async () => {
    using home = temporaryHome();
    const path = join(home.path, 'x.lock');
    const holder = await startHolder(path);
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const waiting = withStateLock(path, abort.signal, async () => 'in');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  });
});

/** A process that has the lock and does not let go of it. */
async function startHolder(path: string): Promise<ChildProcess> {
  mkdirSync(join(path, '..'), { recursive: true });
  const lock = new URL('../../src/auth/state-lock.ts', import.meta.url).href;
  const script = `import { withStateLock } from '${lock}';
    await withStateLock(${JSON.stringify(path)}, new AbortController().signal, () => {
      process.stdout.write('held');
      return new Promise((resolve) => setTimeout(resolve, 60_000));
    });`;
  const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return holder;
}
