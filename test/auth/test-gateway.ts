/**
 * As much of a gateway as a login needs, over real TLS: info, token, logout, whoami. It stands on
 * the same Identity as the real one, in front of a provider of the test's choice.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { PATHS } from '../../src/api/http.ts';
import type { InfoReply } from '../../src/api/login.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import type { HttpReply } from '../../src/gateway/identity/http-reply.ts';
import { Identity } from '../../src/gateway/identity/identity.ts';
import type { IdentityProvider } from '../../src/gateway/identity/identity-provider.ts';
import { whoamiReply } from '../../src/gateway/identity/whoami-reply.ts';
import { generateSigningKey } from '../../src/recording/keys/ed25519.ts';
import { signKeyring } from '../../src/recording/keys/keyring.ts';
import { Secret } from '../../src/secret.ts';
import { MemoryIdentityStore } from '../gateway/identity/memory-identity-store.ts';
import { listen } from './listen.ts';

export interface TestGateway extends AsyncDisposable {
  readonly url: string;
  /** PEM file. */
  readonly caFile: string;
  readonly identity: Identity;
  /** Tests change what the gateway says of itself. */
  info: InfoReply;
  /** `POST /v1/token` by grant type, as they came in. */
  readonly grants: string[];
  /** Added to the gateway's clock. */
  aheadMs: number;
  /** Answers instead of the gateway when it gives something. */
  intercept:
    | ((context: Context) => Response | undefined | Promise<Response | undefined>)
    | undefined;
}

type TestProvider = IdentityProvider & { readonly scopes?: string[] };

const SCOPES = ['openid', 'email', 'profile', 'groups'];
const YEAR_MS = 365 * 86_400_000;

export async function startTestGateway(provider: TestProvider): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-test-gateway-'));
  const ca = createCertificateAuthority();
  const certificate = issueServerCertificate(ca, { names: ['localhost'], ips: ['127.0.0.1'] });
  const caFile = join(directory, 'ca.pem');
  writeFileSync(caFile, ca.certificate);

  const app = new Hono();
  const server = createServer({ cert: certificate.certificate, key: certificate.privateKey });
  const { port, close } = await listen(server);
  const url = `https://127.0.0.1:${port}`;

  // Its keys are read with the clock while it is made.
  let started: TestGateway | undefined;
  const identity = new Identity({
    origins: () => [url],
    providers: () => [provider],
    roles: () => ({ auditor: ['auditors'], approver: ['approvers'] }),
    signingKey: generateKeyPairSync('ed25519').privateKey,
    handleKey: new Secret<Uint8Array>(randomBytes(32)),
    store: new MemoryIdentityStore(),
    clock: () => Date.now() + (started?.aheadMs ?? 0),
  });
  const gateway: TestGateway = {
    url,
    caFile,
    identity,
    info: createInfo(provider),
    grants: [],
    aheadMs: 0,
    intercept: undefined,
    [Symbol.asyncDispose]: async () => {
      await close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  started = gateway;

  app.use(async (context, next) => (await gateway.intercept?.(context)) ?? (await next()));
  app.get(PATHS.info, (context) =>
    context.json({ ...gateway.info, loginNonce: identity.loginNonce() }),
  );
  app.post(PATHS.token, async (context) => {
    const body = await context.req.text();
    gateway.grants.push(new URLSearchParams(body).get('grant_type') ?? '');
    return send(await identity.token({ ...read(context), body }));
  });
  app.post(PATHS.logout, async (context) => {
    const body = await context.req.text();
    return send(await identity.logout({ ...read(context), body }));
  });
  app.get(PATHS.whoami, async (context) => {
    try {
      const who = await identity.authenticate(read(context));
      return context.json(whoamiReply(who), 200, { 'dpop-nonce': identity.nonceHeader() });
    } catch (error) {
      const reply = identity.refusal(error);
      if (reply === undefined) {
        throw error;
      }
      return send(reply);
    }
  });
  server.on('request', getRequestListener(app.fetch));
  return gateway;
}

/** A gateway that was set up anew: other root, other keyring. */
export function createInfo(
  provider: TestProvider,
  keyring: { readonly version?: number; readonly expiresMs?: number } = {},
  root = generateSigningKey(),
): InfoReply {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const device = provider.device && { clientId: provider.device.clientId, scopes: SCOPES };
  const key = {
    publicKey: generateSigningKey().publicKey,
    notBeforeMs: now,
    notAfterMs: now + YEAR_MS,
  };
  return {
    v: 1,
    gateway: 'test-gateway',
    version: '0.0.0',
    identityProviders: [{ scopes: SCOPES, ...provider, device }],
    rootKey: Buffer.from(root.publicKey).toString('base64'),
    keyring: signKeyring(
      {
        gateway: 'test-gateway',
        version: keyring.version ?? 2,
        issuedMs: now,
        expiresMs: keyring.expiresMs ?? now + YEAR_MS,
        keys: [
          { use: 'session-ca', ...key },
          { use: 'gateway', ...key },
        ],
      },
      root,
    ),
    policy: { branch: 'main', allowedSigners: 'policy@example.com ssh-ed25519 AAAA\n' },
  };
}

function read(context: Context) {
  return {
    method: context.req.method,
    url: context.req.url,
    authorization: context.req.header('authorization'),
    dpop: context.req.header('dpop'),
  };
}

function send(reply: HttpReply): Response {
  return new Response(JSON.stringify(reply.body), {
    status: reply.status,
    headers: { 'content-type': 'application/json', ...reply.headers },
  });
}
