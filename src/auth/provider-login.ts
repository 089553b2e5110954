/**
 * The login at the identity provider: authorization code with PKCE in the system browser, answer
 * on a loopback port. openid-client checks state, nonce, `iss` of the answer (RFC 9207) and the
 * claims of the ID token; the gateway checks the token again, with its signature.
 */
import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  type CustomFetch,
  calculatePKCECodeChallenge,
  customFetch,
  discovery,
  None,
  ResponseBodyError,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import type { InfoReply } from '../api/login.ts';
import { HoopError } from '../errors.ts';
import { isLoopbackProviderUrl, isSafeProviderUrl } from '../policy/provider-url.ts';
import { fetchFailure, isForNow, providerFetch } from '../provider-fetch.ts';
import { type Callback, startLoopbackListener } from './loopback-listener.ts';

/** Long enough for a second factor on another device. */
const LOGIN_TIMEOUT_MS = 5 * 60_000;
const PROVIDER_TIMEOUT_SECONDS = 10;
/** A page of the provider that says no sends nobody back, and nothing here would say why. */
const WAITING =
  'waiting for the browser, up to 5 minutes; if it shows an error instead of a login page (unknown client, invalid redirect_uri), the client is not set up correctly at the provider';

export type LoginProvider = InfoReply['identityProviders'][number];

export interface ProviderLoginOptions {
  readonly provider: LoginProvider;
  /** Shown always: the browser may be on another screen, or be the wrong one. */
  readonly showUrl: (url: string) => void;
  /** undefined: the user opens it. */
  readonly openBrowser: ((url: string) => Promise<boolean>) | undefined;
  readonly note: (text: string) => void;
  /** For the ID token; from `tokenNonce`. */
  readonly nonce?: string | undefined;
  readonly signal: AbortSignal;
}

/** What a provider gives for a login. */
export interface LoginTokens {
  readonly idToken: string;
  /** undefined: it gave none. */
  readonly refreshToken: string | undefined;
}

/**
 * @param use takes the ID token; the browser waits for it and then shows who is logged in, or why not
 * @throws HoopError HOOP_LOGIN_FAILED, HOOP_IDP_UNREACHABLE
 */
export async function loginAtProvider<
  T extends { readonly name: string; readonly gateway: string },
>(options: ProviderLoginOptions, use: (tokens: LoginTokens) => Promise<T>): Promise<T> {
  const server = await discoverProvider(options.provider);
  const state = randomState();
  const nonce = options.nonce ?? randomNonce();
  const verifier = randomPKCECodeVerifier();
  await using listener = await startLoopbackListener(state);
  const url = buildAuthorizationUrl(server, {
    redirect_uri: listener.redirectUri,
    scope: options.provider.scopes.join(' '),
    state,
    nonce,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }).href;
  options.showUrl(url);
  options.note(WAITING);
  // Not awaited before the callback: a headless "browser" returns only when the login is done.
  const opened = open(options, url);
  const callback = await waitForCallback(listener.callback, opened, options.signal);
  try {
    const result = await use(await redeem(server, callback.url, { state, nonce, verifier }));
    await callback.show({ type: 'success', name: result.name, gateway: result.gateway });
    await opened;
    return result;
  } catch (error) {
    const reason = error instanceof HoopError ? error.message : 'an unexpected error';
    await callback.show({ type: 'failure', reason });
    throw error;
  }
}

/**
 * Plain http only for a provider on this machine: anywhere else somebody in between could log in as anyone.
 * @throws HoopError HOOP_LOGIN_FAILED, HOOP_IDP_UNREACHABLE
 */
export async function discoverProvider(
  provider: Pick<LoginProvider, 'issuer' | 'clientId' | 'ca'>,
): Promise<Configuration> {
  const issuer = URL.parse(provider.issuer);
  if (issuer === null || !isSafeProviderUrl(provider.issuer)) {
    throw new HoopError(
      'HOOP_LOGIN_FAILED',
      `the identity provider "${provider.issuer}" does not use https`,
      {
        detail: 'Plain http is accepted only from 127.0.0.1 and [::1].',
        hint: 'Ask whoever maintains the policy to correct `identityProviders`.',
      },
    );
  }
  try {
    return await discovery(issuer, provider.clientId, {}, None(), {
      timeout: PROVIDER_TIMEOUT_SECONDS,
      execute: isLoopbackProviderUrl(provider.issuer) ? [allowInsecureRequests] : [],
      [customFetch]: fetchOf(provider),
    });
  } catch (cause) {
    throw new HoopError(
      'HOOP_IDP_UNREACHABLE',
      `cannot reach the identity provider "${provider.issuer}"`,
      {
        detail: `${discoveryFailure(cause)}.`,
        hint: 'Check the address in a browser on this machine. On the gateway, `hoop gateway check --config FILE` has details.',
        cause,
      },
    );
  }
}

/** What openid-client says of pages and of connections is about neither. */
function discoveryFailure(cause: unknown): string {
  const inner = cause instanceof Error ? cause.cause : undefined;
  if (inner instanceof Response) {
    if (isForNow(inner.status)) return `It answers ${inner.status}: try again in a minute`;
    return inner.ok
      ? 'Its answer is not a discovery document, but e.g. a web page'
      : `It answers ${inner.status}: there is no identity provider at this address`;
  }
  const isParse = cause instanceof Error && 'code' in cause && cause.code === 'OAUTH_PARSE_ERROR';
  return isParse
    ? 'Its answer is not a discovery document, but e.g. a web page'
    : fetchFailure(cause);
}

/** With the private CA that the policy names. */
export function fetchOf({ ca }: Pick<LoginProvider, 'ca'>): CustomFetch {
  const ask = providerFetch(ca);
  return (url, { body, signal, ...init }) =>
    ask(url, {
      ...init,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
}

async function open(options: ProviderLoginOptions, url: string): Promise<void> {
  if (options.openBrowser === undefined) {
    return;
  }
  if (!(await options.openBrowser(url))) {
    options.note('no browser could be opened; open the address above yourself');
  }
}

async function waitForCallback(
  callback: (signal: AbortSignal) => Promise<Callback>,
  opened: Promise<void>,
  signal: AbortSignal,
): Promise<Callback> {
  const timeout = AbortSignal.timeout(LOGIN_TIMEOUT_MS);
  try {
    // `opened` counts here only when it fails.
    return await Promise.race([
      callback(AbortSignal.any([signal, timeout])),
      opened.then(() => new Promise<never>(() => undefined)),
    ]);
  } catch (cause) {
    if (signal.aborted || !timeout.aborted) {
      throw cause;
    }
    throw new HoopError('HOOP_LOGIN_FAILED', 'nobody completed the login in the browser', {
      detail: `The address was valid for ${LOGIN_TIMEOUT_MS / 60_000} minutes.`,
      hint: 'Run `hoop login` again, and look at the page: an error there comes from the provider, and `hoop gateway check --config FILE` on the gateway shows what is wrong.',
      cause,
    });
  }
}

/** The code for an ID token. */
async function redeem(
  server: Configuration,
  url: URL,
  sent: { readonly state: string; readonly nonce: string; readonly verifier: string },
): Promise<LoginTokens> {
  try {
    const reply = await authorizationCodeGrant(server, url, {
      expectedState: sent.state,
      expectedNonce: sent.nonce,
      pkceCodeVerifier: sent.verifier,
      idTokenExpected: true,
    });
    if (reply.id_token === undefined) {
      throw new TypeError('openid-client returns an ID token when one is expected');
    }
    return { idToken: reply.id_token, refreshToken: reply.refresh_token };
  } catch (cause) {
    throw describeFailure(cause);
  }
}

/** What openid-client throws, in our words. */
export function describeFailure(cause: unknown): HoopError {
  if (cause instanceof AuthorizationResponseError || cause instanceof ResponseBodyError) {
    return new HoopError(
      'HOOP_LOGIN_FAILED',
      `the identity provider refused the login: ${cause.error}`,
      {
        detail: cause.error_description === undefined ? undefined : `${cause.error_description}.`,
        hint: 'Run `hoop login` again; if that does not help, ask whoever runs the identity provider.',
        cause,
      },
    );
  }
  const reason = fetchFailure(cause);
  return new HoopError('HOOP_LOGIN_FAILED', 'the identity provider’s answer is not acceptable', {
    detail: `${reason.replace(/\.$/, '')}.`,
    hint: 'Run `hoop login` again.',
    cause,
  });
}
