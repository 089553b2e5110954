/**
 * The token service of a CI, on loopback: it speaks as that of GitHub Actions, so that a shell with
 * the variables of `jobVariables` is a job of the branch main to `hoop`. Whoever has the request
 * secret is that job; as the passwords of the demo's people, it is new at each start.
 */
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { loopbackServer } from './loopback-server.ts';

export interface CiIssuer extends AsyncDisposable {
  readonly issuer: string;
  /** What a runner sets for each job, with the secret. */
  readonly jobVariables: Readonly<Record<string, string>>;
}

/** The claims of the job that decide; the sample policy names them. */
export const CI_JOB = {
  repository: 'example/shop',
  repository_id: '4711',
  ref: 'refs/heads/main',
} as const;

/** As that of GitHub. */
const TOKEN_TTL_SECONDS = 300;
const MAX_AUDIENCE_LENGTH = 1024;

export async function startCiIssuer(
  options: { readonly port?: number | undefined } = {},
): Promise<CiIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const kid = randomBytes(8).toString('hex');
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' };
  const secret = randomBytes(32).toString('base64url');
  const { server, url: issuer } = await loopbackServer(options.port);
  const runId = String(Date.now());

  const mint = (audience: string): Promise<string> =>
    new SignJWT({
      ...CI_JOB,
      run_id: runId,
      event_name: 'push',
      actor: 'engineer',
      workflow: 'nightly',
    })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(`repo:${CI_JOB.repository}:ref:${CI_JOB.ref}`)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_TTL_SECONDS}s`)
      .setJti(randomUUID())
      .sign(privateKey);

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', issuer);
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return send(response, 200, { issuer, jwks_uri: `${issuer}/keys` });
      case '/keys':
        return send(response, 200, { keys: [jwk] });
      case '/token': {
        if (!isSame(request.headers.authorization ?? '', `Bearer ${secret}`)) {
          return send(response, 401, { message: 'the request token is not that of the job' });
        }
        const audience = url.searchParams.get('audience') ?? '';
        return audience === '' || audience.length > MAX_AUDIENCE_LENGTH
          ? send(response, 400, { message: 'audience is missing or too long' })
          : send(response, 200, { value: await mint(audience) });
      }
      default:
        return send(response, 404, { message: 'not found' });
    }
  };
  server.on('request', (request, response) => {
    respond(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  return {
    issuer,
    jobVariables: {
      GITHUB_ACTIONS: 'true',
      ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: secret,
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
