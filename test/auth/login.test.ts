import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loginCommand } from '../../src/commands/machine/login.ts';
import { logoutCommand } from '../../src/commands/machine/logout.ts';
import { whoamiCommand } from '../../src/commands/machine/whoami.ts';
import { completeLogin } from '../../src/demo/complete-login.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import { HoopError } from '../../src/errors.ts';
import { type RunOptions, runCommand, type TemporaryHome, temporaryHome } from './command-run.ts';
import { createInfo, startTestGateway, type TestGateway } from './test-gateway.ts';

let provider: OidcProvider;
let gateway: TestGateway;
beforeAll(async () => {
  provider = await startOidcProvider();
  gateway = await startTestGateway(provider);
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

/** `hoop login --no-browser`, and somebody who opens the printed address. */
async function login(home: TemporaryHome, name: string, args: readonly string[] = []) {
  const account = provider.accounts.find((candidate) => candidate.name === name);
  if (account === undefined) {
    throw new Error(`no account ${name}`);
  }
  const visits: Promise<void>[] = [];
  const options: RunOptions = {
    env: home.env,
    onStderr: (line) => {
      const url = /log in at (\S+)/.exec(line)?.[1];
      if (url !== undefined) {
        visits.push(completeLogin(url, account));
      }
    },
  };
  const result = await runCommand(
    loginCommand,
    ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile, ...args],
    options,
  );
  await Promise.all(visits);
  return result;
}

const run = (create: typeof loginCommand, args: string[], home: TemporaryHome) =>
  runCommand(create, args, { env: home.env });

describe('hoop login', () => {
  test('logs in, says who, and keeps tokens in a 0600 file in a 0700 directory', async () => {
    using home = temporaryHome();
    const { stdout, stderr } = await login(home, 'dba');
    expect(stdout).toMatch(/^user {5}dba@example\.com$/m);
    expect(stdout).toMatch(/^groups {3}dba, approvers$/m);
    expect(stdout).toMatch(/^roles {4}approver$/m);
    expect(stdout).toContain(`tokens   file ${home.path}/tokens.json`);
    expect(stderr).toMatch(/gateway "test-gateway" has the root key SHA256:[A-Za-z0-9+/]{43}$/m);
    expect(statSync(join(home.path, 'tokens.json')).mode & 0o777).toBe(0o600);
    expect(statSync(home.path).mode & 0o777).toBe(0o700);
    expect(statSync(join(home.path, 'trust.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(home.path, 'config.json'), 'utf8'))).toEqual({
      gateway: gateway.url,
      ca: gateway.caFile,
      tokenStore: 'file',
    });
  });

  test('remembers the gateway: the second time needs no options and shows no fingerprint', async () => {
    using home = temporaryHome();
    await login(home, 'engineer');
    const visits: Promise<void>[] = [];
    const devin = provider.accounts.find(({ name }) => name === 'devin');
    const { stdout, stderr } = await runCommand(loginCommand, ['--no-browser', '--json'], {
      env: home.env,
      onStderr: (line) => {
        const url = /log in at (\S+)/.exec(line)?.[1];
        if (url !== undefined && devin !== undefined) {
          visits.push(completeLogin(url, devin));
        }
      },
    });
    await Promise.all(visits);
    expect(JSON.parse(stdout)).toMatchObject({
      v: 1,
      kind: 'person',
      sub: 'devin',
      groups: ['agents'],
      roles: [],
      gateway: gateway.url,
    });
    expect(stderr).not.toContain('root key');
  });

  test('named as the hint names it, the remembered gateway keeps its private CA', async () => {
    using home = temporaryHome();
    await login(home, 'engineer');
    await run(logoutCommand, [], home);
    const ended: unknown = await run(whoamiCommand, [], home).catch((error: unknown) => error);
    const hint = ended instanceof HoopError ? ended.hint : undefined;
    const args = /^Log in with `hoop login (.*)`\.$/.exec(hint ?? '')?.[1]?.split(' ') ?? [];
    expect(args).toEqual(['--gateway', gateway.url]);
    const engineer = provider.accounts.find(({ name }) => name === 'engineer');
    const visits: Promise<void>[] = [];
    const again = await runCommand(loginCommand, ['--no-browser', ...args], {
      env: home.env,
      onStderr: (line) => {
        const url = /log in at (\S+)/.exec(line)?.[1];
        if (url !== undefined && engineer !== undefined) {
          visits.push(completeLogin(url, engineer));
        }
      },
    });
    await Promise.all(visits);
    expect(again.stdout).toMatch(/^user {5}engineer@example\.com$/m);
    expect(JSON.parse(readFileSync(join(home.path, 'config.json'), 'utf8'))).toMatchObject({
      ca: gateway.caFile,
    });
  });

  test('does not take the CA of the remembered gateway for another one', async () => {
    using home = temporaryHome();
    await login(home, 'engineer');
    const other = gateway.url.replace('127.0.0.1', 'localhost');
    await expect(
      run(loginCommand, ['--no-browser', '--gateway', other], home),
    ).rejects.toMatchObject({ code: 'HOOP_GATEWAY_TLS' });
  });

  test('opens $BROWSER with the address', async () => {
    using home = temporaryHome();
    const account = provider.accounts[1];
    const script = join(home.path, 'browser.mjs');
    const moduleUrl = new URL('../../src/demo/complete-login.ts', import.meta.url).href;
    writeFileSync(
      script,
      `import { completeLogin } from '${moduleUrl}';
       await completeLogin(process.argv[2], ${JSON.stringify(account)});`,
    );
    // A blank ends a word of $BROWSER, and there may be one in the way to this Node.js.
    const browser = join(home.path, 'browser');
    symlinkSync(process.execPath, browser);
    const { stdout } = await runCommand(
      loginCommand,
      ['--gateway', gateway.url, '--ca', gateway.caFile],
      { env: { ...home.env, BROWSER: `${browser} ${script} %s` } },
    );
    expect(stdout).toContain('engineer@example.com');
  });

  test('says so when no browser can be opened, and the address still works', async () => {
    using home = temporaryHome();
    const [account] = provider.accounts;
    const visits: Promise<void>[] = [];
    const { stderr } = await runCommand(
      loginCommand,
      ['--gateway', gateway.url, '--ca', gateway.caFile],
      {
        env: { ...home.env, BROWSER: '/nonexistent/browser' },
        onStderr: (line) => {
          const url = /log in at (\S+)/.exec(line)?.[1];
          if (url !== undefined && account !== undefined) {
            visits.push(completeLogin(url, account));
          }
        },
      },
    );
    await Promise.all(visits);
    expect(stderr).toContain('hoop: no browser could be opened');
  });

  test('ends at once when it is interrupted', async () => {
    using home = temporaryHome();
    const controller = new AbortController();
    const reason = new Error('interrupted by the test');
    await expect(
      runCommand(loginCommand, ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile], {
        env: home.env,
        signal: controller.signal,
        onStderr: (line) => {
          if (line.includes('log in at')) {
            controller.abort(reason);
          }
        },
      }),
    ).rejects.toBe(reason);
    // The next try need not name the address again; nothing is trusted, nobody is logged in.
    const { gateway: kept } = JSON.parse(readFileSync(join(home.path, 'config.json'), 'utf8'));
    expect(kept).toBe(gateway.url);
    expect(existsSync(join(home.path, 'trust.json'))).toBe(false);
    expect(existsSync(join(home.path, 'tokens.json'))).toBe(false);
  });

  test('shows on both sides why the gateway refuses, and keeps nothing', async () => {
    using home = temporaryHome();
    await using other = await startTestGateway({ issuer: provider.issuer, clientId: 'somebody' });
    // The gateway tells the client one client id and expects another: its policy is wrong.
    other.info = createInfo(provider);
    const pages: string[] = [];
    const [account] = provider.accounts;
    const failure = runCommand(
      loginCommand,
      ['--no-browser', '--gateway', other.url, '--ca', other.caFile],
      {
        env: home.env,
        onStderr: (line) => {
          const url = /log in at (\S+)/.exec(line)?.[1];
          if (url !== undefined && account !== undefined) {
            completeLogin(url, account).catch((error: unknown) => pages.push(`${error}`));
          }
        },
      },
    );
    await expect(failure).rejects.toMatchObject({
      code: 'HOOP_TOKEN_AUDIENCE',
      message: 'the ID token is meant for another application',
    });
    await expect.poll(() => pages.join()).toContain('status 400');
    expect(existsSync(join(home.path, 'tokens.json'))).toBe(false);
    expect(existsSync(join(home.path, 'trust.json'))).toBe(false);
  });

  test('refuses a gateway address without https, and names what to write', async () => {
    using home = temporaryHome();
    await expect(run(loginCommand, ['--gateway', 'http://gw.example.com'], home)).rejects.toThrow(
      'the gateway address "http://gw.example.com" does not start with https',
    );
  });

  test('refuses an identity provider that speaks plain http over a network', async () => {
    using home = temporaryHome();
    await using other = await startTestGateway(provider);
    other.info = createInfo({ issuer: 'http://idp.example.com', clientId: 'hoop-cli' });
    await expect(
      run(loginCommand, ['--gateway', other.url, '--ca', other.caFile], home),
    ).rejects.toMatchObject({
      code: 'HOOP_LOGIN_FAILED',
      message: 'the identity provider "http://idp.example.com" does not use https',
    });
  });

  test('says that the identity provider cannot be reached', async () => {
    using home = temporaryHome();
    await using other = await startTestGateway(provider);
    other.info = createInfo({ issuer: 'http://127.0.0.1:1', clientId: 'hoop-cli' });
    await expect(
      run(loginCommand, ['--gateway', other.url, '--ca', other.caFile], home),
    ).rejects.toMatchObject({ code: 'HOOP_IDP_UNREACHABLE' });
  });

  test('without a gateway says how to name one', async () => {
    using home = temporaryHome();
    await expect(run(loginCommand, [], home)).rejects.toMatchObject({ code: 'HOOP_USAGE' });
  });
});

describe('the keys of the gateway', () => {
  test('that changed are refused with both fingerprints, until --trust', async () => {
    using home = temporaryHome();
    await using own = await startTestGateway(provider);
    const args = ['--gateway', own.url, '--ca', own.caFile];
    await login(home, 'dba', args);
    own.info = createInfo(provider);
    const refused = expect(run(loginCommand, args, home)).rejects;
    await refused.toMatchObject({
      code: 'HOOP_GATEWAY_KEY',
      message: 'the root key of the gateway has changed',
      detail: expect.stringMatching(/^Known: SHA256:\S+, since \S+\. Now: SHA256:\S+\./),
    });
    const { stderr } = await login(home, 'dba', [...args, '--trust']);
    expect(stderr).toContain('has the root key SHA256:');
  });

  test('in an older keyring than before are refused', async () => {
    using home = temporaryHome();
    await using own = await startTestGateway(provider);
    const { generateSigningKey } = await import('../../src/recording/keys/ed25519.ts');
    const root = generateSigningKey();
    const args = ['--gateway', own.url, '--ca', own.caFile];
    own.info = createInfo(provider, { version: 5 }, root);
    await login(home, 'dba', args);
    own.info = createInfo(provider, { version: 6 }, root);
    await login(home, 'dba', args);
    own.info = createInfo(provider, { version: 5 }, root);
    await expect(run(loginCommand, args, home)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_KEY',
      message: 'the gateway shows an older keyring than before',
    });
  });

  test.each([
    ['an expired keyring', (): object => createInfo(provider, { expiresMs: 1000 })],
    [
      'a keyring of another root',
      () => ({ ...createInfo(provider), rootKey: createInfo(provider).rootKey }),
    ],
    ['a keyring that is none', () => ({ ...createInfo(provider), keyring: 'hello\n' })],
    ['a root key that is none', () => ({ ...createInfo(provider), rootKey: 'AAAA' })],
  ])('are refused: %s', async (_title, makeInfo) => {
    using home = temporaryHome();
    await using own = await startTestGateway(provider);
    own.info = { ...own.info, ...makeInfo() };
    const args = ['--gateway', own.url, '--ca', own.caFile];
    await expect(run(loginCommand, args, home)).rejects.toMatchObject({ code: 'HOOP_GATEWAY_KEY' });
  });

  test('and other signers of the policy are refused', async () => {
    using home = temporaryHome();
    await using own = await startTestGateway(provider);
    const args = ['--gateway', own.url, '--ca', own.caFile];
    await login(home, 'dba', args);
    own.info = {
      ...own.info,
      policy: { branch: 'main', allowedSigners: 'evil@example.com ssh-ed25519 BBBB\n' },
    };
    await expect(run(loginCommand, args, home)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_KEY',
      message: 'the gateway’s policy signers have changed',
    });
  });
});

describe('hoop whoami', () => {
  test('shows identity, groups, expiry and where the token is kept', async () => {
    using home = temporaryHome();
    await login(home, 'auditor');
    const { stdout } = await run(whoamiCommand, [], home);
    expect(stdout).toBe(
      `user     auditor@example.com
subject  auditor at ${provider.issuer}
groups   auditors
roles    auditor
gateway  ${gateway.url}
expires  ${/expires {2}(.*)/.exec(stdout)?.[1]}
tokens   file ${home.path}/tokens.json
`,
    );
    expect(stdout).toMatch(
      /expires {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d(:\d\d)? \(in 11 h 59 min\)/,
    );
    const json = JSON.parse((await run(whoamiCommand, ['--json'], home)).stdout);
    expect(json).toMatchObject({ v: 1, sub: 'auditor', roles: ['auditor'] });
    expect(json.tokenStore).toBe(`file ${home.path}/tokens.json`);
  });

  test.each([
    ['before the first login', {}, 'not logged in to any gateway'],
    ['to this gateway', { HOOP_GATEWAY: 'https://gw.example.com' }, 'not logged in to'],
  ])('is refused when not logged in %s', async (_title, env, message) => {
    using home = temporaryHome();
    await expect(
      runCommand(whoamiCommand, [], { env: { ...home.env, ...env } }),
    ).rejects.toMatchObject({
      code: 'HOOP_NOT_LOGGED_IN',
      message: expect.stringContaining(message),
    });
  });

  test('begins with the nonce of the command before, while that is good', async () => {
    using home = temporaryHome();
    await login(home, 'dba');
    let requests = 0;
    gateway.intercept = (context) => {
      requests += context.req.path === '/v1/whoami' ? 1 : 0;
      return undefined;
    };
    const count = async (): Promise<number> => {
      requests = 0;
      await run(whoamiCommand, [], home);
      return requests;
    };
    await count();
    expect(await count()).toBe(1);
    const file = join(home.path, 'nonce.json');
    const kept = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...kept, gateway: 'https://other.example.com' }));
    expect(await count()).toBe(2);
    writeFileSync(file, '{');
    expect(await count()).toBe(2);
    writeFileSync(file, JSON.stringify({ ...kept, nonce: 'of a gateway before it was restarted' }));
    expect(await count()).toBe(2);
    gateway.intercept = undefined;
  });

  test('renews a token that has run out, once, and writes the new one', async () => {
    using home = temporaryHome();
    await login(home, 'dba');
    const file = join(home.path, 'tokens.json');
    const stored = JSON.parse(readFileSync(file, 'utf8'));
    stored.tokens[gateway.url].expiresAtMs = Date.now() + 29_000;
    writeFileSync(file, JSON.stringify(stored), { mode: 0o600 });
    const before = gateway.grants.length;
    await run(whoamiCommand, [], home);
    await run(whoamiCommand, [], home);
    const refreshes = gateway.grants.slice(before).filter((grant) => grant === 'refresh_token');
    // Twice at most: the first may only fetch a nonce.
    expect(refreshes.length).toBeLessThanOrEqual(2);
    const renewed = JSON.parse(readFileSync(file, 'utf8')).tokens[gateway.url];
    expect(renewed.refreshToken).toContain('.1.');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('renews a token that the gateway finds expired, though the clock here says otherwise', async () => {
    using home = temporaryHome();
    await login(home, 'dba');
    let refusals = 0;
    gateway.intercept = (context) => {
      if (context.req.path !== '/v1/whoami' || refusals > 0) {
        return undefined;
      }
      refusals += 1;
      const error = { code: 'HOOP_TOKEN_EXPIRED', message: 'the session token has expired' };
      return context.json({ error }, 401);
    };
    const { stdout } = await run(whoamiCommand, [], home);
    gateway.intercept = undefined;
    expect(refusals).toBe(1);
    expect(stdout).toContain('dba@example.com');
  });

  test('renews a token of a gateway that has got another key, and does not try for ever', async () => {
    using home = temporaryHome();
    await login(home, 'dba');
    let requests = 0;
    gateway.intercept = (context) => {
      if (context.req.path !== '/v1/whoami') {
        return undefined;
      }
      requests += 1;
      const error = { code: 'HOOP_TOKEN_SIGNATURE', message: 'not issued by this gateway' };
      return context.json({ error }, 401);
    };
    await expect(run(whoamiCommand, [], home)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_SIGNATURE',
    });
    gateway.intercept = undefined;
    expect(requests).toBe(2);
  });

  test('says that the login has ended when the gateway has revoked it', async () => {
    using home = temporaryHome();
    await login(home, 'devin');
    await gateway.identity.revoke({ issuer: provider.issuer, sub: 'devin' });
    await expect(run(whoamiCommand, [], home)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      message: 'the login has ended',
    });
  });

  test('forgets the tokens of a login that cannot be renewed any more', async () => {
    using home = temporaryHome();
    await login(home, 'devin');
    await gateway.identity.revoke({ issuer: provider.issuer, sub: 'devin' });
    const file = join(home.path, 'tokens.json');
    const stored = JSON.parse(readFileSync(file, 'utf8'));
    stored.tokens[gateway.url].expiresAtMs = 0;
    writeFileSync(file, JSON.stringify(stored), { mode: 0o600 });
    await expect(run(whoamiCommand, [], home)).rejects.toMatchObject({
      code: 'HOOP_NOT_LOGGED_IN',
      message: `the login to "${gateway.url}" has ended`,
      detail: 'The gateway says: the login has ended. It was revoked, or somebody logged out.',
    });
    expect(existsSync(file)).toBe(false);
  });
});

describe('hoop logout', () => {
  test('ends the login at the gateway and removes the tokens', async () => {
    using home = temporaryHome();
    await login(home, 'engineer');
    const stored = readFileSync(join(home.path, 'tokens.json'), 'utf8');
    const { stderr } = await run(logoutCommand, [], home);
    expect(stderr).toBe(
      `hoop: logged out of ${gateway.url}\nhoop: your browser session at ${provider.issuer} stays open; \`hoop logout --provider\` ends it too\n`,
    );
    expect(existsSync(join(home.path, 'tokens.json'))).toBe(false);
    await expect(run(whoamiCommand, [], home)).rejects.toMatchObject({
      code: 'HOOP_NOT_LOGGED_IN',
    });
    // Whoever kept a copy of the tokens has nothing.
    writeFileSync(join(home.path, 'tokens.json'), stored, { mode: 0o600 });
    await expect(run(whoamiCommand, [], home)).rejects.toMatchObject({
      code: 'HOOP_TOKEN_REVOKED',
      detail: 'The person logged out (`hoop logout`).',
    });
  });

  test('twice is no error', async () => {
    using home = temporaryHome();
    await login(home, 'engineer');
    await run(logoutCommand, [], home);
    const { stdout } = await run(logoutCommand, ['--json'], home);
    expect(JSON.parse(stdout)).toEqual({
      v: 1,
      gateway: gateway.url,
      wasLoggedIn: false,
      endedAtGateway: false,
    });
  });

  test('removes the tokens even when the gateway is gone, and says so', async () => {
    using home = temporaryHome();
    const own = await startTestGateway(provider);
    await login(home, 'engineer', ['--gateway', own.url, '--ca', own.caFile]);
    const ca = readFileSync(own.caFile);
    await own[Symbol.asyncDispose]();
    const caFile = join(home.path, 'ca.pem');
    writeFileSync(caFile, ca);
    const { stderr } = await runCommand(logoutCommand, [], {
      env: { ...home.env, HOOP_CA: caFile },
    });
    expect(stderr).toContain('hoop: could not notify the gateway: cannot reach gateway');
    expect(existsSync(join(home.path, 'tokens.json'))).toBe(false);
  });
});

/** What it printed on stderr, and what it threw. */
async function tried(create: typeof loginCommand, args: readonly string[], options: RunOptions) {
  let stderr = '';
  const onStderr = (line: string): void => {
    stderr += line;
    options.onStderr?.(line);
  };
  const error: unknown = await runCommand(create, args, { ...options, onStderr }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { stderr, error };
}

describe('hoop login before its browser', () => {
  test('fails where nothing can be stored, and asks nobody to log in', async () => {
    using home = temporaryHome();
    const file = join(home.path, 'a-file');
    writeFileSync(file, '');
    const env = {
      ...home.env,
      HOOP_HOME: undefined,
      XDG_CONFIG_HOME: home.path,
      XDG_STATE_HOME: join(file, 'state'),
    };
    const args = ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile];
    const { stderr, error } = await tried(loginCommand, args, { env });
    expect(error).toMatchObject({
      code: 'HOOP_LOCAL_STATE',
      message: `cannot keep a login in "${join(file, 'state', 'hoop')}": a part of the path is a file`,
    });
    expect(stderr).not.toContain('log in at');
  });

  test('compares the root key with --fingerprint, and stores nothing for another one', async () => {
    using home = temporaryHome();
    const { stderr } = await login(home, 'dba');
    const [fingerprint = ''] = /SHA256:[A-Za-z0-9+/]{43}/.exec(stderr) ?? [];
    using fresh = temporaryHome();
    const args = ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile];
    const other = ['--fingerprint', `SHA256:${'A'.repeat(43)}`];
    const wrong = await tried(loginCommand, [...args, ...other], { env: fresh.env });
    expect(wrong.error).toMatchObject({ code: 'HOOP_GATEWAY_KEY' });
    expect(existsSync(join(fresh.path, 'config.json'))).toBe(false);
    const right = await login(fresh, 'dba', ['--fingerprint', fingerprint]);
    expect(right.stderr).toContain('it is the one that --fingerprint names');
    expect(right.stderr).not.toContain('compare it');
  });

  test('remembers the address of a login that was broken off, but not in place of another', async () => {
    using home = temporaryHome();
    const args = ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile];
    const broken = async (env: NodeJS.ProcessEnv, words: readonly string[]) => {
      const controller = new AbortController();
      await tried(loginCommand, words, {
        env,
        signal: controller.signal,
        onStderr: (line) => {
          if (line.includes('log in at')) controller.abort(new HoopError('HOOP_INTERRUPTED', 'x'));
        },
      });
    };
    await broken(home.env, args);
    const kept = JSON.parse(readFileSync(join(home.path, 'config.json'), 'utf8'));
    expect(kept).toMatchObject({ gateway: gateway.url, ca: gateway.caFile });
    using other = temporaryHome();
    const before = '{"gateway":"https://other.example.com"}';
    writeFileSync(join(other.path, 'config.json'), before);
    await broken(other.env, args);
    expect(readFileSync(join(other.path, 'config.json'), 'utf8')).toBe(before);
  });

  test('reads a configuration with a byte order mark, and names the place of an error in one', async () => {
    using home = temporaryHome();
    writeFileSync(join(home.path, 'config.json'), '\uFEFF{\r\n  "tokenStore": "file"\r\n}\r\n');
    const { stderr } = await login(home, 'dba');
    expect(stderr).toContain('log in at');
    using broken = temporaryHome();
    const file = join(broken.path, 'config.json');
    writeFileSync(file, '{\n  "gateway": "https://a",\n}\n');
    const run = await tried(loginCommand, [], { env: broken.env });
    expect(run.error).toMatchObject({
      code: 'HOOP_CONFIG',
      message: `"${file}" is not valid JSON: line 3, column 1`,
    });
  });

  test('a HOOP_CA that names no file, and a HOOP_HOME that has gone, are named', async () => {
    using home = temporaryHome();
    await login(home, 'dba');
    const env = { ...home.env, HOOP_CA: '/nonexistent/ca.pem' };
    const withoutCa = await tried(whoamiCommand, [], { env });
    expect(withoutCa.error).toMatchObject({
      code: 'HOOP_CONFIG',
      message:
        'cannot read the CA certificate "/nonexistent/ca.pem", which HOOP_CA names: there is no such file',
      hint: 'Correct HOOP_CA, or unset it to use the CA of your login.',
    });
    const gone = join(home.path, 'gone');
    const ended = await tried(whoamiCommand, [], { env: { ...home.env, HOOP_HOME: gone } });
    expect(ended.error).toMatchObject({
      code: 'HOOP_NOT_LOGGED_IN',
      detail: expect.stringContaining(`HOOP_HOME names "${gone}", which does not exist`),
    });
    expect(existsSync(gone)).toBe(false);
  });
});
