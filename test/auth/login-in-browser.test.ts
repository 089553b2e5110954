import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loginCommand } from '../../src/commands/machine/login.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import { launchChromium, openPage } from './chromium.ts';
import { type CommandRun, runCommand, temporaryHome } from './command-run.ts';
import { startTestGateway, type TestGateway } from './test-gateway.ts';

/** Set it to look at the pages. */
const SCREENSHOTS = process.env['HOOP_TEST_SCREENSHOTS'];

let provider: OidcProvider;
let gateway: TestGateway;
let browser: Browser;
beforeAll(async () => {
  provider = await startOidcProvider();
  gateway = await startTestGateway(provider);
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await gateway[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

interface Started extends AsyncDisposable {
  readonly page: Page;
  readonly result: Promise<CommandRun>;
  readonly complaints: readonly string[];
}

/** `hoop login --no-browser`, and a browser at the address that it printed. */
async function startLogin(options: { dark?: boolean } = {}): Promise<Started> {
  const home = temporaryHome();
  const address = Promise.withResolvers<string>();
  const abort = new AbortController();
  const result = runCommand(
    loginCommand,
    ['--no-browser', '--gateway', gateway.url, '--ca', gateway.caFile],
    {
      env: home.env,
      signal: abort.signal,
      onStderr: (line) => {
        const url = /log in at (\S+)/.exec(line)?.[1];
        if (url !== undefined) {
          address.resolve(url);
        }
      },
    },
  );
  result.catch(address.reject);
  const opened = await openPage(browser, {
    viewport: { width: 900, height: 860 },
    colorScheme: options.dark === true ? 'dark' : 'light',
  });
  const { page, complaints } = opened;
  await page.goto(await address.promise);
  return {
    page,
    result,
    complaints,
    [Symbol.asyncDispose]: async () => {
      abort.abort(new Error('the test is over'));
      await result.catch(() => undefined);
      await opened[Symbol.asyncDispose]();
      home[Symbol.dispose]();
    },
  };
}

async function shoot(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }
}

function password(name: string): string {
  return provider.accounts.find((account) => account.name === name)?.password ?? '';
}

describe('a login in a browser', () => {
  test('goes through the form and ends on a page that sends you back to the terminal', async () => {
    await using login = await startLogin();
    const { page } = login;
    expect(await page.title()).toBe('Log in to the hoop demo');
    await shoot(page, 'login');
    await page.getByLabel('Dana Barton').check();
    await page.getByLabel('Password').fill(password('dba'));
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    await shoot(page, 'success');
    const text = await page.locator('main').textContent();
    expect(text).toContain('dba@example.com');
    expect(text).toContain(gateway.url);
    expect(text).toContain('return to the terminal');
    expect((await login.result).stdout).toContain('groups   dba, approvers');
    expect(login.complaints).toEqual([]);
  });

  test('can be done with the keyboard alone, in the dark', async () => {
    await using login = await startLogin({ dark: true });
    const { page } = login;
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Tab');
    await page.keyboard.type(password('engineer'));
    await shoot(page, 'login-dark');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    await shoot(page, 'success-dark');
    expect((await login.result).stdout).toContain('engineer@example.com');
  });

  test('asks again after a wrong password, keeps the account, and says it as an alert', async () => {
    await using login = await startLogin();
    const { page } = login;
    await page.getByLabel('Aude Moreau').check();
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    expect(await page.getByRole('alert').textContent()).toBe(
      'That password does not belong to this account.',
    );
    await shoot(page, 'wrong-password');
    // On a small screen, too, nobody has to look for the button.
    await page.setViewportSize({ width: 900, height: 700 });
    const button = await page.getByRole('button', { name: 'Log in' }).boundingBox();
    expect((button?.y ?? 700) + (button?.height ?? 0)).toBeLessThan(700 - 16);
    expect(await page.getByLabel('Aude Moreau').isChecked()).toBe(true);
    // The password of another account is as wrong.
    await page.getByLabel('Password').fill(password('dba'));
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill(password('auditor'));
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    expect((await login.result).stdout).toContain('roles    auditor');
  });

  test('shows in the browser, too, why the gateway refuses', async () => {
    gateway.intercept = (context) =>
      context.req.path === '/v1/token'
        ? context.json(
            { error: { code: 'HOOP_TOKEN_REVOKED', message: 'no <b>logins</b> today' } },
            401,
          )
        : undefined;
    try {
      await using login = await startLogin();
      const { page } = login;
      await page.getByLabel('Dana Barton').check();
      await page.getByLabel('Password').fill(password('dba'));
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.getByRole('heading', { name: 'Login failed' }).waitFor();
      await shoot(page, 'failure');
      expect(await page.getByRole('alert').textContent()).toBe('no <b>logins</b> today');
      await expect(login.result).rejects.toMatchObject({ code: 'HOOP_TOKEN_REVOKED' });
    } finally {
      gateway.intercept = undefined;
    }
  });

  test('says it in words when the address of an earlier login is opened', async () => {
    await using login = await startLogin();
    const { page } = login;
    await page.goto(`${provider.issuer}/auth?client_id=unknown`);
    await shoot(page, 'provider-error');
    expect(await page.getByRole('alert').textContent()).toContain('invalid_client');
  });
});
