/** What is tried at Keycloak: each a line of the result. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import type { Browser } from 'playwright-core';
import { parse } from 'yaml';
import * as z from 'zod';
import { generateDpopKey } from '../../src/client/dpop-key.ts';
import { GatewayClient } from '../../src/client/gateway-client.ts';
import { loginCommand } from '../../src/commands/machine/login.ts';
import { logoutCommand } from '../../src/commands/machine/logout.ts';
import { whoamiCommand } from '../../src/commands/machine/whoami.ts';
import { checkProvider } from '../../src/gateway/identity/check-provider.ts';
import { HoopFile } from '../../src/policy/schema/schema.ts';
import { launchChromium, openPage } from '../../test/auth/chromium.ts';
import { runCommand, type TemporaryHome, temporaryHome } from '../../test/auth/command-run.ts';
import { startTestGateway, type TestGateway } from '../../test/auth/test-gateway.ts';
import type { Keycloak } from './keycloak.ts';
import { pageBlock, pageBlocks } from './page-blocks.ts';
import { fillCode, fillLogin, grantCode } from './person.ts';

type Step = (title: string, work: () => Promise<void>) => Promise<void>;

const PAGE = 'docs/providers/keycloak.md';
const PASSWORD = randomBytes(12).toString('base64url');
/** The shortest that a policy may want; it passes in earnest, since Keycloak’s clock does. */
const FRESH_SECONDS = 60;
const never = new AbortController().signal;

export async function runLogins(keycloak: Keycloak, step: Step): Promise<void> {
  const realm = `staff-${randomBytes(4).toString('hex')}`;
  await keycloak.admin('POST', '', { realm, enabled: true });
  const ids = new Map<string, string>();
  const addUser = async (username: string, groups: readonly string[]) => {
    for (const name of groups) {
      if (!ids.has(name)) {
        await keycloak.admin('POST', `/${realm}/groups`, { name });
        ids.set(name, name);
      }
    }
    await keycloak.admin('POST', `/${realm}/users`, {
      username,
      enabled: true,
      email: `${username}@example.com`,
      emailVerified: true,
      firstName: username,
      lastName: 'Example',
      groups,
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    });
  };
  const findUser = async (username: string) => {
    const found = await keycloak.admin('GET', `/${realm}/users?exact=true&username=${username}`);
    assert(Array.isArray(found));
    return { path: `/${realm}/users/${found[0].id}`, user: found[0] };
  };
  const setUser = async (username: string, change: object) => {
    const { path, user } = await findUser(username);
    await keycloak.admin('PUT', path, { ...user, ...change });
  };
  const addClient = (client: object) => keycloak.admin('POST', `/${realm}/clients`, client);
  const hoopClient: Record<string, object> = JSON.parse(pageBlock(PAGE, 'hoop.json'));
  await addClient(hoopClient);
  await addClient(JSON.parse(pageBlock(PAGE, 'hoop-device.json')));
  const [provider] = HoopFile.parse(
    parse(
      pageBlock(PAGE, 'hoop.yaml').replace(
        'KEYCLOAK/realms/staff',
        `${keycloak.server}/realms/${realm}`,
      ),
    ),
  ).identityProviders;
  assert(provider !== undefined);
  const { issuer } = provider;
  await addUser('ada', ['engineering', 'oncall']);
  await addUser('grace', ['dba']);
  const many = Array.from({ length: 300 }, (_, i) => `team-${i}-`.padEnd(41, 'x'));

  await using gateway = await startTestGateway({ ...provider, fresh: FRESH_SECONDS });
  const browser = await launchChromium();
  try {
    const log = (home: TemporaryHome, user: string, flags: readonly string[] = []) =>
      logIn({ gateway, browser, home, user, flags });

    await step('the page’s clients pass the check', async () => {
      const text = await checkProvider(provider, never);
      assert.match(text, /no device codes for "hoop", device codes for "hoop-device"/);
    });

    for (const [clientId, change, message] of [
      ['conf', { publicClient: false }, /confidential/],
      ['par', { attributes: { 'require.pushed.authorization.requests': 'true' } }, /PAR/],
      ['dpop', { attributes: { 'dpop.bound.access.tokens': 'true' } }, /DPoP/],
      ['elsewhere', { redirectUris: ['https://app.example.org/*'] }, /status 400/],
    ] as const) {
      await step(`the check finds the client "${clientId}"`, async () => {
        await addClient({ ...hoopClient, clientId, ...change });
        await assert.rejects(checkProvider({ issuer, clientId }, never), { message });
      });
    }
    await step('the check finds a client that is not there', async () => {
      await assert.rejects(checkProvider({ issuer, clientId: 'nobody' }, never), {
        message: /refuses logins of "nobody"/,
      });
    });
    await step('the check finds a slash at the end of the issuer', async () => {
      await assert.rejects(checkProvider({ ...provider, issuer: `${issuer}/` }, never), {
        message: `the provider calls itself "${issuer}"`,
      });
    });
    await step('the check says that a realm is not there', async () => {
      await assert.rejects(checkProvider({ ...provider, issuer: `${issuer}-not` }, never), {
        message: /answers 404/,
      });
    });

    await step('a login in the browser has its groups', async () => {
      using home = temporaryHome();
      const { stdout } = await log(home, 'ada');
      assert.match(stdout, /groups +engineering, oncall|groups +oncall, engineering/);
    });

    await step('a login by device code, with PKCE, has its groups and no role', async () => {
      using home = temporaryHome();
      const { stdout } = await log(home, 'ada', ['--device']);
      assert.match(stdout, /engineering/);
      assert.match(stdout, /none: logged in with a device code/);
    });

    await step('realm roles are the groups where the page says so', async () => {
      const clientId = 'hoop-roles';
      const mapper: unknown = JSON.parse(pageBlock(PAGE, 'realm-roles.json'));
      await addClient({ ...hoopClient, clientId, protocolMappers: [mapper] });
      await keycloak.admin('POST', `/${realm}/roles`, { name: 'database-reader' });
      const role = await keycloak.admin('GET', `/${realm}/roles/database-reader`);
      await keycloak.admin('POST', `${(await findUser('ada')).path}/role-mappings/realm`, [role]);
      const [claims] = pageBlocks(PAGE).filter(({ text }) => /^ +claims:/.test(text));
      assert(claims);
      await using roles = await startTestGateway({ ...provider, clientId, ...parse(claims.text) });
      using home = temporaryHome();
      const { stdout } = await logIn({
        gateway: roles,
        browser,
        home,
        user: 'ada',
        flags: ['--json'],
      });
      const { groups } = JSON.parse(stdout);
      assert(groups.includes('database-reader') && !groups.includes('engineering'), stdout);
    });

    await step(
      'an access token made out to the client is no ID token, though the ID token beside it is',
      async () => {
        // Where no nonce is asked for: that alone would refuse it.
        const clientId = 'hoop-access';
        const audience = {
          name: 'itself',
          protocol: 'openid-connect',
          protocolMapper: 'oidc-audience-mapper',
          config: { 'included.client.audience': clientId, 'access.token.claim': 'true' },
        };
        await addClient({
          clientId,
          publicClient: true,
          directAccessGrantsEnabled: true,
          protocolMappers: [audience],
        });
        const { access_token: access, id_token: id } = await directGrant(issuer, clientId, 'ada');
        const { typ, azp, aud } = decodeJwt(access);
        assert.equal(typ, 'Bearer');
        assert.equal(azp, clientId);
        assert([aud].flat().includes(clientId), `${aud}`);
        const own = { issuer, clientId: 'hoop', device: { clientId } };
        await using other = await startTestGateway(own);
        const ca = readFileSync(other.caFile, 'utf8');
        await using client = new GatewayClient({ baseUrl: other.url, ca });
        const offer = (token: string) => client.exchange(token, generateDpopKey(), never);
        await assert.rejects(offer(access), { code: 'HOOP_TOKEN_TYPE' });
        assert.equal((await offer(id)).token_type, 'DPoP');
      },
    );

    await step('300 groups of 41 characters are a login', async () => {
      await addUser('many', many);
      using home = temporaryHome();
      const { stdout } = await log(home, 'many', ['--json']);
      assert.equal(JSON.parse(stdout).groups.length, 300);
    });

    await step(
      'a login goes on while Keycloak confirms it, and ends for who is disabled',
      async () => {
        using home = temporaryHome();
        await log(home, 'grace');
        const whoami = () => runCommand(whoamiCommand, [], { env: home.env });
        await delay(FRESH_SECONDS * 1000 + 1000);
        assert.match((await whoami()).stdout, /grace@example.com/);
        await setUser('grace', { enabled: false });
        await delay(FRESH_SECONDS * 1000 + 1000);
        await assert.rejects(whoami(), { code: 'HOOP_NOT_LOGGED_IN' });
      },
    );

    await step('a key that was rotated between two logins works at once', async () => {
      using home = temporaryHome();
      await log(home, 'ada');
      const found = await keycloak.admin('GET', `/${realm}`);
      assert(typeof found === 'object' && found !== null && 'id' in found);
      await keycloak.admin('POST', `/${realm}/components`, {
        name: 'rotated',
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
        parentId: found.id,
        config: { priority: ['200'], enabled: ['true'], active: ['true'] },
      });
      assert.match((await log(home, 'ada')).stdout, /ada@example.com/);
    });

    await step(
      'logout --provider revokes the refresh token and names where one logs out',
      async () => {
        using home = temporaryHome();
        await log(home, 'ada');
        const args = ['--provider', '--no-browser'];
        const { stderr } = await runCommand(logoutCommand, args, { env: home.env });
        assert.match(stderr, /log out at http\S+\/protocol\/openid-connect\/logout\?/);
      },
    );
  } finally {
    await browser.close();
    await keycloak.admin('DELETE', `/${realm}`);
  }
}

/** Both tokens that Keycloak gives for one login, by its direct access grant. */
async function directGrant(issuer: string, clientId: string, username: string) {
  const response = await fetch(`${issuer}/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({
      client_id: clientId,
      username,
      password: PASSWORD,
      grant_type: 'password',
      scope: 'openid',
    }),
  });
  return z.object({ access_token: z.string(), id_token: z.string() }).parse(await response.json());
}

/** `hoop login`, and a person who does what it says in a browser. */
async function logIn(login: {
  readonly gateway: TestGateway;
  readonly browser: Browser;
  readonly home: TemporaryHome;
  readonly user: string;
  readonly flags: readonly string[];
}): Promise<{ readonly stdout: string }> {
  const { gateway, browser, home, user, flags } = login;
  const isDevice = flags.includes('--device');
  const address = Promise.withResolvers<string>();
  const code = Promise.withResolvers<string>();
  const args = ['--gateway', gateway.url, '--ca', gateway.caFile, ...flags];
  const result = runCommand(loginCommand, isDevice ? args : [...args, '--no-browser'], {
    env: home.env,
    onStderr: (text) => {
      const url = /(?:log in at|open) (http\S+)/.exec(text)?.[1];
      if (url !== undefined) address.resolve(url);
      const typed = /enter the code (\S+)/.exec(text)?.[1];
      if (typed !== undefined) code.resolve(typed);
    },
  });
  result.catch(address.reject);
  await using opened = await openPage(browser);
  const { page } = opened;
  const url = await address.promise;
  await (isDevice ? fillCode(page, url, await code.promise) : page.goto(url));
  await fillLogin(page, user, PASSWORD);
  if (isDevice) {
    await grantCode(page);
  }
  return await result;
}
