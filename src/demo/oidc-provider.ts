/**
 * The demo's identity provider: a real OpenID provider (oidc-provider) on a loopback port, with
 * four accounts and a login form of our own. It speaks plain http: RFC 8252 §8.3 accepts that on
 * the loopback interface, where nothing leaves the machine, and a certificate of a private CA
 * would only teach people to click through the browser's warning.
 * https://www.rfc-editor.org/rfc/rfc8252#section-8.3
 *
 * Passwords are random and new at each start, because the port is open to all users of the
 * machine, and `hoop demo --postgres` may stand in front of a server that matters.
 */
import { createHash, generateKeyPair, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import type { Provider } from 'oidc-provider';
import { browserPageHeaders } from '../auth/browser-page.ts';
import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';
import { devicePages } from './device-pages.ts';
import { renderLoginPage, renderProblemPage } from './login-page.ts';
import { loopbackServer } from './loopback-server.ts';
import { createOidcStorage } from './oidc-storage.ts';
import { PEER_PACKAGES } from './peer-packages.ts';

export interface DemoAccount {
  /** Login name, and the `sub` of its tokens. */
  readonly name: string;
  readonly fullName: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly password: string;
}

export interface OidcProviderOptions {
  readonly accounts?: readonly Omit<DemoAccount, 'password'>[];
  /** The public client; `hoop-cli` unless given. */
  readonly clientId?: string;
  /** Any free one unless given. */
  readonly port?: number | undefined;
  readonly idTokenTtlSeconds?: number;
}

export interface OidcProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly clientId: string;
  /** A client for the device flow alone; the sample policy does not name it. */
  readonly deviceClientId: string;
  readonly accounts: readonly DemoAccount[];
}

const DEVICE_CLIENT_ID = 'hoop-device';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const DEMO_ACCOUNTS: readonly Omit<DemoAccount, 'password'>[] = [
  {
    name: 'dba',
    fullName: 'Dana Barton',
    email: 'dba@example.com',
    groups: ['dba', 'approvers'],
  },
  {
    name: 'engineer',
    fullName: 'Eli Novak',
    email: 'engineer@example.com',
    groups: ['engineering'],
  },
  {
    name: 'auditor',
    fullName: 'Aude Moreau',
    email: 'auditor@example.com',
    groups: ['auditors'],
  },
  {
    name: 'devin',
    fullName: 'Devin (agent)',
    email: 'devin@agents.example.com',
    groups: ['agents'],
  },
];

/** The form has two short fields. */
const MAX_FORM_BYTES = 4096;
const SESSION_COOKIE = 'hoop_demo_session';

/** @throws HoopError HOOP_MISSING_PROGRAM when the package oidc-provider is not installed */
export async function startOidcProvider(options: OidcProviderOptions = {}): Promise<OidcProvider> {
  const { Provider } = await importPackage();
  const clientId = options.clientId ?? 'hoop-cli';
  const accounts = (options.accounts ?? DEMO_ACCOUNTS).map((account) => ({
    ...account,
    password: randomPassword(),
  }));
  const signingKey = await generateSigningKey();

  const { server, url: issuer } = await loopbackServer(options.port);

  const provider = new Provider(
    issuer,
    providerConfiguration({
      clientId,
      accounts,
      signingKey,
      idTokenTtlSeconds: options.idTokenTtlSeconds ?? 300,
    }),
  );
  // RFC 8252 §7.3: any port of a loopback redirect must do. This provider takes any path as well,
  // so that `hoop login` can use one that nobody can guess.
  provider.Client.prototype.redirectUriAllowed = isLoopbackRedirect;

  const handle = provider.callback();
  server.on('request', (request, response) => {
    respond({ provider, handle, accounts }, request, response).catch((error: unknown) => {
      fail(response, error);
    });
  });
  return {
    issuer,
    clientId,
    deviceClientId: DEVICE_CLIENT_ID,
    accounts,
    [Symbol.asyncDispose]: () => close(server),
  };
}

async function importPackage(): Promise<typeof import('oidc-provider')> {
  const { warn } = console;
  // It warns of every Node.js that is not an LTS release, and each major version begins as none.
  console.warn = (...said: unknown[]) => {
    if (!String(said[0]).includes('Unsupported runtime')) warn(...said);
  };
  try {
    return await import('oidc-provider');
  } catch (cause) {
    if (errorCode(cause) === 'ERR_MODULE_NOT_FOUND') {
      throw new HoopError('HOOP_MISSING_PROGRAM', 'the package "oidc-provider" is not installed', {
        detail: 'The demo needs it as its identity provider; the client itself does not.',
        hint: `Add the demo's parts with \`${PEER_PACKAGES.command}\`.`,
        cause,
      });
    }
    throw cause;
  } finally {
    console.warn = warn;
  }
}

function randomPassword(): string {
  const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';
  // 12 letters of 31 that are hard to confuse: 59 bits, minus a hair for the modulo.
  const letters = Array.from(randomBytes(12), (byte) => alphabet[byte % alphabet.length]);
  return [letters.slice(0, 4), letters.slice(4, 8), letters.slice(8)]
    .map((group) => group.join(''))
    .join('-');
}

async function generateSigningKey(): Promise<Record<string, unknown>> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  return {
    ...privateKey.export({ format: 'jwk' }),
    alg: 'ES256',
    use: 'sig',
    kid: randomBytes(8).toString('hex'),
  };
}

interface ConfigurationInput {
  readonly clientId: string;
  readonly accounts: readonly DemoAccount[];
  readonly signingKey: Record<string, unknown>;
  readonly idTokenTtlSeconds: number;
}

function providerConfiguration(input: ConfigurationInput): Record<string, unknown> {
  return {
    clients: [
      {
        client_id: input.clientId,
        client_name: 'hoop',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/'],
        id_token_signed_response_alg: 'ES256',
        require_auth_time: true,
      },
      {
        client_id: DEVICE_CLIENT_ID,
        client_name: 'hoop on a machine without a browser',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: [DEVICE_GRANT],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: 'ES256',
        require_auth_time: true,
      },
    ],
    adapter: createOidcStorage(),
    jwks: { keys: [input.signingKey] },
    cookies: { keys: [randomBytes(32).toString('base64url')], names: { session: SESSION_COOKIE } },
    pkce: { required: () => true },
    responseTypes: ['code'],
    scopes: ['openid', 'email', 'profile', 'groups'],
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'preferred_username'],
      groups: ['groups'],
    },
    // hoop reads the ID token only, as most providers can be set to fill it.
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      deviceFlow: { enabled: true, ...devicePages() },
    },
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/login/${uid}` },
    renderError: (
      context: { type: string; body: string; set(fields: object): void },
      out: object,
    ) => {
      context.set(browserPageHeaders());
      context.body = renderProblemPage(describeProviderError(out));
    },
    ttl: {
      AccessToken: 60,
      AuthorizationCode: 60,
      DeviceCode: 300,
      IdToken: input.idTokenTtlSeconds,
      Interaction: 600,
      Session: 600,
      Grant: 600,
    },
    findAccount: (_context: unknown, sub: string) => {
      const account = input.accounts.find((candidate) => candidate.name === sub);
      return account === undefined
        ? undefined
        : {
            accountId: sub,
            claims: () => ({
              sub,
              email: account.email,
              email_verified: true,
              name: account.fullName,
              preferred_username: account.name,
              groups: account.groups,
            }),
          };
    },
  };
}

function describeProviderError(out: object): string {
  const { error, error_description: description } = {
    error: 'unknown error',
    error_description: undefined,
    ...out,
  };
  return typeof description === 'string' ? `${error}: ${description}` : String(error);
}

function isLoopbackRedirect(uri: string): boolean {
  const url = URL.parse(uri);
  return (
    url?.protocol === 'http:' &&
    url.hostname === '127.0.0.1' &&
    url.username === '' &&
    url.password === '' &&
    url.hash === ''
  );
}

interface Running {
  readonly provider: Provider;
  readonly handle: ReturnType<Provider['callback']>;
  readonly accounts: readonly DemoAccount[];
}

async function respond(
  running: Running,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { provider } = running;
  dropSessionCookie(request);
  const path = new URL(request.url ?? '/', 'http://127.0.0.1').pathname;
  if (!path.startsWith('/login/')) {
    await running.handle(request, response);
    return;
  }
  const interaction = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    sendPage(response, 200, { selected: undefined, problem: undefined }, running.accounts);
    return;
  }
  if (request.method !== 'POST') {
    response.writeHead(405, { allow: 'GET, POST' }).end();
    return;
  }
  const form = new URLSearchParams(await readForm(request));
  const name = form.get('account') ?? undefined;
  const account = running.accounts.find((candidate) => candidate.name === name);
  if (account === undefined || !sameText(account.password, form.get('password') ?? '')) {
    const problem = 'That password does not belong to this account.';
    sendPage(response, 403, { selected: account?.name, problem }, running.accounts);
    return;
  }
  const grant = new provider.Grant({
    accountId: account.name,
    clientId: String(interaction.params['client_id']),
  });
  // Consent is given with the login: this provider knows one client, and it is ours.
  grant.addOIDCScope(String(interaction.params['scope']));
  await provider.interactionFinished(request, response, {
    login: { accountId: account.name, remember: false },
    consent: { grantId: await grant.save() },
  });
}

/**
 * No single sign-on: to log in as somebody else is what the demo is for, and with a session the
 * provider would first ask to log out.
 */
function dropSessionCookie(request: IncomingMessage): void {
  const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1');
  // Entering a device code takes several requests, which the session holds together.
  if (pathname.startsWith('/device/') || (pathname === '/device' && request.method === 'POST')) {
    return;
  }
  const kept = (request.headers.cookie ?? '')
    .split(/;\s*/)
    .filter((cookie) => cookie !== '' && !cookie.startsWith(SESSION_COOKIE));
  if (kept.length === 0) {
    delete request.headers.cookie;
  } else {
    request.headers.cookie = kept.join('; ');
  }
}

async function readForm(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_FORM_BYTES) {
      throw new HoopError('HOOP_TOO_LARGE', 'the login form is too large');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sameText(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function sendPage(
  response: ServerResponse,
  status: number,
  state: { readonly selected: string | undefined; readonly problem: string | undefined },
  accounts: readonly DemoAccount[],
): void {
  response.writeHead(status, browserPageHeaders("'self' http://127.0.0.1:*"));
  response.end(renderLoginPage({ ...state, accounts }));
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const message = error instanceof Error ? error.message : 'unknown error';
  response.writeHead(400, browserPageHeaders());
  response.end(renderProblemPage(message));
}

async function close(server: Server): Promise<void> {
  if (!server.listening) {
    return;
  }
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
