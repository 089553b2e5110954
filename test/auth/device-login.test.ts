/** `hoop login --device` against a real provider, with a real browser on "another device". */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loginCommand } from '../../src/commands/machine/login.ts';
import { whoamiCommand } from '../../src/commands/machine/whoami.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import { launchChromium, openPage } from './chromium.ts';
import { type CommandRun, runCommand, type TemporaryHome, temporaryHome } from './command-run.ts';
import { startTestGateway, type TestGateway } from './test-gateway.ts';

let provider: OidcProvider;
let gateway: TestGateway;
let browser: Browser;
beforeAll(async () => {
  provider = await startOidcProvider();
  const { issuer, clientId, deviceClientId } = provider;
  gateway = await startTestGateway({ issuer, clientId, device: { clientId: deviceClientId } });
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await gateway[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

interface Started extends AsyncDisposable {
  readonly home: TemporaryHome;
  readonly page: Page;
  readonly code: string;
  readonly result: Promise<CommandRun>;
  /** All that stood on stderr before the code was entered. */
  readonly shown: string;
  readonly complaints: readonly string[];
}

async function startLogin(at: TestGateway = gateway): Promise<Started> {
  const home = temporaryHome();
  const abort = new AbortController();
  const asked = Promise.withResolvers<{ address: string; code: string }>();
  let shown = '';
  const result = runCommand(loginCommand, ['--device', '--gateway', at.url, '--ca', at.caFile], {
    env: { ...home.env, CI: 'true' },
    signal: abort.signal,
    onStderr: (text) => {
      shown += text;
      const address = /open (\S+)/.exec(shown)?.[1];
      const code = /enter the code (\S+) by/.exec(shown)?.[1];
      if (address !== undefined && code !== undefined) {
        asked.resolve({ address, code });
      }
    },
  });
  result.catch(asked.reject);
  const { address, code } = await asked.promise;
  const opened = await openPage(browser);
  const { page, complaints } = opened;
  await page.goto(address);
  return {
    home,
    page,
    code,
    result,
    shown,
    complaints,
    [Symbol.asyncDispose]: async () => {
      abort.abort(new Error('the test is over'));
      await result.catch(() => undefined);
      await opened[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    },
  };
}

async function enter({ page }: Started, code: string): Promise<void> {
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: 'Continue' }).click();
}

async function logInAs({ page }: Started, fullName: string, name: string): Promise<void> {
  await page.getByLabel(fullName).check();
  const account = provider.accounts.find((one) => one.name === name);
  await page.getByLabel('Password').fill(account?.password ?? '');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'The device is logged in' }).waitFor();
}

describe('a login with a device code', () => {
  test('says where it is from and for what, and is confirmed in a browser elsewhere', async () => {
    await using login = await startLogin();
    const { page } = login;
    expect(login.shown).toContain(`at ${gateway.url}`);
    expect(login.shown).toContain('requests: openid, email, profile, groups');
    // The address alone is not enough: whoever is sent a link does not enter a code by it.
    expect(page.url()).not.toContain(login.code);
    await enter(login, login.code.toLowerCase());
    const question = await page.locator('main').textContent();
    expect(question).toContain('hoop on a machine without a browser');
    expect(question).toContain('127.0.0.1');
    expect(question).toMatch(/hoop\/\d+\.\d+\.\d+ \(/);
    expect(question).toContain('openid email profile groups');
    expect(question).toContain(login.code);
    await page.getByRole('button', { name: 'Yes, log in' }).click();
    await logInAs(login, 'Eli Novak', 'engineer');
    expect((await login.result).stdout).toContain('engineer@example.com');
    expect(login.complaints).toEqual([]);
    const again = await runCommand(whoamiCommand, [], { env: login.home.env });
    expect(again.stdout).toContain('roles    none: logged in with a device code');
  });

  test('has no role, whatever the groups of the person give in a browser', async () => {
    await using login = await startLogin();
    await enter(login, login.code);
    await login.page.getByRole('button', { name: 'Yes, log in' }).click();
    await logInAs(login, 'Dana Barton', 'dba');
    await login.result;
    const { stdout } = await runCommand(whoamiCommand, ['--json'], { env: login.home.env });
    expect(JSON.parse(stdout)).toMatchObject({
      groups: ['dba', 'approvers'],
      roles: [],
      viaDevice: true,
    });
  });

  test('ends when the person in the browser says that it is not theirs', async () => {
    await using login = await startLogin();
    await enter(login, login.code);
    await login.page.getByRole('button', { name: 'No, cancel' }).click();
    await expect(login.result).rejects.toMatchObject({
      code: 'HOOP_LOGIN_FAILED',
      message: 'the identity provider refused the login: access_denied',
    });
  });

  test('does not go on with a code that is not its own', async () => {
    await using login = await startLogin();
    await enter(login, 'BBBB-BBBB');
    expect(await login.page.getByRole('alert').textContent()).toBe('That code is not valid.');
  });

  test('is not begun where the policy names no client for it', async () => {
    await using other = await startTestGateway(provider);
    using home = temporaryHome();
    const run = runCommand(
      loginCommand,
      ['--device', '--gateway', other.url, '--ca', other.caFile],
      { env: home.env },
    );
    await expect(run).rejects.toMatchObject({
      code: 'HOOP_LOGIN_FAILED',
      message: 'the policy does not allow device code logins',
    });
  });

  test('of a changed client that uses the code elsewhere is refused by the gateway', async () => {
    // This client believes that it may; the gateway's policy has no client for device codes.
    await using strict = await startTestGateway(provider);
    const { issuer, clientId, deviceClientId } = provider;
    strict.info = {
      ...strict.info,
      identityProviders: [
        {
          issuer,
          clientId,
          scopes: ['openid'],
          device: { clientId: deviceClientId, scopes: ['openid'] },
        },
      ],
    };
    await using login = await startLogin(strict);
    await enter(login, login.code);
    await login.page.getByRole('button', { name: 'Yes, log in' }).click();
    await logInAs(login, 'Dana Barton', 'dba');
    await expect(login.result).rejects.toMatchObject({ code: 'HOOP_TOKEN_AUDIENCE' });
  });
});
