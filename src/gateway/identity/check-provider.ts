/**
 * For `hoop gateway check`: whether people will be able to log in at a provider, as far as it says
 * without a person. Each question is asked as `hoop login` would ask it.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { isSafeProviderUrl } from '../../policy/provider-url.ts';
import { fetchFailure, isForNow, providerFetch } from '../../provider-fetch.ts';
import { type IdentityProvider, SIGNATURE_ALGORITHMS } from './identity-provider.ts';

const Discovery = z.object({
  issuer: z.string(),
  authorization_endpoint: z.string(),
  token_endpoint: z.string(),
  jwks_uri: z.string(),
  device_authorization_endpoint: z.string().optional(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
});
type Discovery = z.infer<typeof Discovery>;

const ErrorAnswer = z.object({ error: z.string(), error_description: z.string().optional() });

/** The port of a login is chosen when it begins. */
const ANSWER_WITHIN_MS = 15_000;
const REDIRECT_URI = 'http://127.0.0.1:49152/hoop-gateway-check';
const PUBLIC_CLIENT =
  'Make it a public client, without a secret and without client authentication.';

/** @returns what was found, in words. @throws HoopError HOOP_CONFIG, HOOP_IDP_UNREACHABLE */
export async function checkProvider(
  provider: IdentityProvider,
  signal: AbortSignal,
): Promise<string> {
  const { clientId, device } = provider;
  const discovery = await discover(provider, signal);
  await checkAuthorization(provider, discovery, signal);
  await checkTokens(provider, clientId, discovery, signal);
  const found = [`"${clientId}" is a public client`];
  if ((await deviceCode(provider, clientId, discovery, signal)) === undefined) {
    throw wrong(`the client "${clientId}" is given device codes`, {
      detail: 'A login by such a code would count as a browser login, with all roles',
      hint: 'Remove the device grant from this client at the provider; use a second client for `device` in hoop.yaml.',
    });
  }
  found.push(`no device codes for "${clientId}"`);
  if (device !== undefined) {
    const refusal = await deviceCode(provider, device.clientId, discovery, signal);
    if (refusal !== undefined) {
      throw wrong(`the client "${device.clientId}" is given no device codes`, {
        detail: `The provider says: ${refusal}`,
        hint: 'Allow it the device grant at the provider, or remove `device` from hoop.yaml.',
      });
    }
    await checkTokens(provider, device.clientId, discovery, signal);
    found.push(`device codes for "${device.clientId}"`);
  }
  return found.join(', ');
}

async function discover(provider: IdentityProvider, signal: AbortSignal): Promise<Discovery> {
  const { issuer } = provider;
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await ask(provider, address, { signal });
  const text = await response.text();
  const hint = `Correct \`issuer\` in hoop.yaml: "${address}" must be the provider’s discovery document.`;
  if (isForNow(response.status)) {
    throw unreachable(issuer, `It answers ${response.status}, which is not for good`);
  }
  if (!response.ok) {
    throw wrong(`there is no identity provider: it answers ${response.status}`, { hint });
  }
  const document = parseJson(text);
  if (document === undefined) {
    const isPage = /^\s*</.test(text);
    throw wrong(
      `there is no identity provider: it answers with ${isPage ? 'a web page' : 'no JSON'}`,
      {
        hint,
      },
    );
  }
  const parsed = Discovery.safeParse(document);
  if (!parsed.success) {
    const missing = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
    throw wrong('its discovery document cannot be used', {
      detail: `Missing or of another form: ${missing}`,
      hint,
    });
  }
  const discovery = parsed.data;
  if (discovery.issuer !== issuer) {
    throw wrong(`the provider calls itself "${discovery.issuer}"`, {
      detail: `hoop.yaml says "${issuer}", so no token would match; a trailing slash counts`,
      hint: `Write \`issuer: ${discovery.issuer}\` into hoop.yaml.`,
    });
  }
  const algorithms = discovery.id_token_signing_alg_values_supported;
  if (algorithms !== undefined && !algorithms.some((one) => SIGNATURE_ALGORITHMS.includes(one))) {
    throw wrong('the provider uses no accepted signature algorithm for ID tokens', {
      detail: `It offers ${algorithms.join(', ')}; accepted are ${SIGNATURE_ALGORITHMS.join(', ')}`,
    });
  }
  if (discovery.require_pushed_authorization_requests === true) {
    throw pushedOnly('the provider');
  }
  return discovery;
}

/** What the browser is shown: a login, or a page that says no. */
async function checkAuthorization(
  provider: IdentityProvider & { readonly scopes?: readonly string[] },
  discovery: Discovery,
  signal: AbortSignal,
): Promise<void> {
  const { clientId } = provider;
  const url = new URL(discovery.authorization_endpoint);
  for (const [name, value] of Object.entries({
    client_id: clientId,
    response_type: 'code',
    scope: (provider.scopes ?? ['openid']).join(' '),
    redirect_uri: REDIRECT_URI,
    state: randomText(),
    nonce: randomText(),
    ...challenge(),
  })) {
    url.searchParams.set(name, value);
  }
  const response = await ask(provider, url.href, { signal, redirect: 'manual' });
  const location = URL.parse(response.headers.get('location') ?? '', url.href);
  const error = location?.searchParams.get('error');
  if (error && location?.href.startsWith(REDIRECT_URI)) {
    const said = location.searchParams.get('error_description') ?? error;
    throw /pushed/i.test(said)
      ? pushedOnly(`the client "${clientId}"`)
      : wrong(`the provider refuses logins of "${clientId}": ${error}`, {
          detail: said,
          hint: 'Correct the client at the provider, or `scopes` in hoop.yaml.',
        });
  }
  if (response.status >= 400) {
    const page = pageText(await response.text());
    throw wrong(`the provider refuses logins of "${clientId}" with status ${response.status}`, {
      detail:
        page === ''
          ? 'It does not know the client, or the client may not redirect back to hoop'
          : page,
      hint: `The client must exist, be allowed the authorization code, and have http://127.0.0.1/* as redirect URI.`,
    });
  }
  await response.body?.cancel();
}

/** A code that nobody has given: the client is judged before the code is. */
async function checkTokens(
  provider: IdentityProvider,
  clientId: string,
  discovery: Discovery,
  signal: AbortSignal,
): Promise<void> {
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: clientId,
    code: randomText(),
    redirect_uri: REDIRECT_URI,
    code_verifier: randomText(),
  });
  const response = await ask(provider, discovery.token_endpoint, { method: 'POST', body, signal });
  const answer = ErrorAnswer.safeParse(parseJson(await response.text()));
  if (!answer.success) {
    throw wrong(`the provider’s token endpoint answers ${response.status} and no OAuth error`, {
      hint: 'Something in between may be answering for it.',
    });
  }
  const { error, error_description: said = '' } = answer.data;
  if (/dpop/i.test(`${error} ${said}`)) {
    throw wrong(`the client "${clientId}" is bound to DPoP`, {
      detail: 'hoop sends no such proof to the provider: its own tokens are bound to a key instead',
      hint: 'Do not require DPoP-bound access tokens for this client.',
    });
  }
  if (
    error === 'invalid_client' ||
    error === 'unauthorized_client' ||
    /client_secret/i.test(said)
  ) {
    const isUnknown = error === 'invalid_client';
    throw wrong(
      isUnknown
        ? `the provider does not know the client "${clientId}", or wants a secret of it`
        : `the client "${clientId}" is confidential: the provider wants a secret of it`,
      {
        ...(said === '' ? {} : { detail: `The provider says: ${said}` }),
        hint: isUnknown ? `Compare \`clientId\` in hoop.yaml. ${PUBLIC_CLIENT}` : PUBLIC_CLIENT,
      },
    );
  }
}

/** @returns undefined: it is given; else why not */
async function deviceCode(
  provider: IdentityProvider,
  clientId: string,
  discovery: Discovery,
  signal: AbortSignal,
): Promise<string | undefined> {
  const endpoint = discovery.device_authorization_endpoint;
  if (endpoint === undefined) {
    return 'it has no device codes';
  }
  // With a challenge: clients that need one are given no code without.
  const body = new URLSearchParams({ client_id: clientId, scope: 'openid', ...challenge() });
  const response = await ask(provider, endpoint, { method: 'POST', body, signal });
  const text = await response.text();
  if (response.ok) {
    return undefined;
  }
  const answer = ErrorAnswer.safeParse(parseJson(text));
  return answer.success
    ? (answer.data.error_description ?? answer.data.error)
    : `status ${response.status}`;
}

async function ask(
  { issuer, ca }: IdentityProvider,
  url: string,
  request: RequestInit,
): Promise<Response> {
  if (!isSafeProviderUrl(url)) {
    throw wrong(`"${url}" is neither https nor on this machine`, {});
  }
  // Its body, too: it may break off, or never end.
  const late = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const signal = request.signal ? AbortSignal.any([request.signal, late]) : late;
  try {
    const response = await providerFetch(ca)(url, { redirect: 'error', ...request, signal });
    const { status, headers } = response;
    const text = await response.text();
    return new Response(text === '' ? null : text, { status, headers });
  } catch (cause) {
    request.signal?.throwIfAborted();
    throw unreachable(issuer, fetchFailure(cause), cause);
  }
}

function unreachable(issuer: string, detail: string, cause?: unknown): HoopError {
  return new HoopError('HOOP_IDP_UNREACHABLE', `cannot reach "${issuer}"`, {
    detail,
    hint: 'The gateway needs its keys, and users’ browsers must reach it too.',
    cause,
  });
}

function challenge(): { code_challenge: string; code_challenge_method: string } {
  const digest = createHash('sha256').update(randomText()).digest('base64url');
  return { code_challenge: digest, code_challenge_method: 'S256' };
}

function randomText(): string {
  return randomBytes(32).toString('base64url');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a page of an error says, in a line; pages of logins are not read. */
function pageText(html: string): string {
  const text = html
    .replace(/<(script|style|head)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/ +/g, ' ')
    .trim()
    .slice(0, 200);
  return text === '' ? '' : `Its page says: ${text}`;
}

function pushedOnly(who: string): HoopError {
  return wrong(`${who} takes pushed authorization requests only (PAR)`, {
    hint: 'Do not require them for this client: hoop sends the browser straight to the login.',
  });
}

function wrong(message: string, options: { detail?: string; hint?: string }): HoopError {
  return new HoopError('HOOP_CONFIG', message, options);
}
