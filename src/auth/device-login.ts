/**
 * The login with a code that is entered in a browser elsewhere (RFC 8628), for machines without one.
 * Off unless the policy names a client for it, because it is easy to abuse: whoever talks somebody
 * into entering a code gets their login. So what is shown says for what and from where it is, no
 * address has the code in it, and the gateway gives such a login less (identity-provider.ts there).
 * https://www.rfc-editor.org/rfc/rfc8628#section-5.4
 */
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Configuration,
  calculatePKCECodeChallenge,
  customFetch,
  type DeviceAuthorizationResponse,
  genericGrantRequest,
  initiateDeviceAuthorization,
  ResponseBodyError,
  randomPKCECodeVerifier,
} from 'openid-client';
import { HoopError } from '../errors.ts';
import { packageVersion } from '../package-version.ts';
import { isSafeProviderUrl } from '../policy/provider-url.ts';
import {
  describeFailure,
  discoverProvider,
  fetchOf,
  type LoginProvider,
  type LoginTokens,
} from './provider-login.ts';

/** As for a login in the browser; the provider may say less. */
const DEVICE_TIMEOUT_MS = 5 * 60_000;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
/** RFC 8628 §3.2 and §3.5. */
const DEFAULT_INTERVAL_SECONDS = 5;
const SLOW_DOWN_SECONDS = 5;
/** RFC 8628 §6.1 has eight letters; anything much longer is not meant to be typed. */
const USER_CODE = /^[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?$/;

export interface DeviceCode {
  /** Where the code is entered; without it in the address. */
  readonly verificationUri: string;
  readonly userCode: string;
  readonly scopes: readonly string[];
  /** This machine, as the identity provider is told. */
  readonly place: string;
  readonly expiresAtMs: number;
}

export interface DeviceLoginOptions {
  readonly provider: LoginProvider;
  /** Nobody can log in who does not see it. */
  readonly showCode: (code: DeviceCode) => void;
  readonly signal: AbortSignal;
}

/** @throws HoopError HOOP_LOGIN_FAILED, HOOP_IDP_UNREACHABLE */
export async function loginWithDeviceCode(options: DeviceLoginOptions): Promise<LoginTokens> {
  const { issuer, ca, device } = options.provider;
  if (device === undefined) {
    throw new HoopError('HOOP_LOGIN_FAILED', 'the policy does not allow device code logins', {
      detail: `It names no client for them at the identity provider "${issuer}".`,
      hint: 'Run `hoop login`; with --no-browser, open the address yourself in a browser that can reach this machine’s loopback address (`ssh -L`).',
    });
  }
  const server = await discoverProvider({ issuer, clientId: device.clientId, ca });
  const place = hostname().replace(/[^\w.-]/g, '_');
  // The provider may show it to whoever enters the code.
  const userAgent = `hoop/${packageVersion()} (${place})`;
  const ask = fetchOf({ ca });
  server[customFetch] = (url, init) =>
    ask(url, { ...init, headers: { ...init.headers, 'user-agent': userAgent } });
  const timeout = AbortSignal.timeout(DEVICE_TIMEOUT_MS);
  try {
    const verifier = randomPKCECodeVerifier();
    const started = await initiateDeviceAuthorization(server, {
      scope: device.scopes.join(' '),
      // Some providers want it of every public client; where they do not, it does no harm.
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const { verification_uri: verificationUri, user_code: userCode } = started;
    if (!isSafeProviderUrl(verificationUri) || !USER_CODE.test(userCode)) {
      throw new TypeError('It contains an address or a code that cannot be shown');
    }
    const lifetimeMs = Math.min(started.expires_in * 1000, DEVICE_TIMEOUT_MS);
    const expiresAtMs = Date.now() + lifetimeMs;
    options.showCode({ verificationUri, userCode, scopes: device.scopes, place, expiresAtMs });
    const signal = AbortSignal.any([options.signal, timeout]);
    return await poll(server, started, verifier, signal);
  } catch (cause) {
    options.signal.throwIfAborted();
    throw isOver(cause) || timeout.aborted ? nobodyCame(cause) : describeFailure(cause);
  }
}

/**
 * Not openid-client's own loop: its waits cannot be cut short, and Ctrl-C would take five seconds.
 * https://www.rfc-editor.org/rfc/rfc8628#section-3.5
 */
async function poll(
  server: Configuration,
  started: DeviceAuthorizationResponse,
  verifier: string,
  signal: AbortSignal,
): Promise<LoginTokens> {
  let intervalSeconds = started.interval ?? DEFAULT_INTERVAL_SECONDS;
  while (true) {
    await delay(intervalSeconds * 1000, undefined, { signal });
    try {
      const form = { device_code: started.device_code, code_verifier: verifier };
      const reply = await genericGrantRequest(server, DEVICE_GRANT, form);
      if (reply.id_token === undefined) {
        throw new TypeError('It contains no ID token');
      }
      return { idToken: reply.id_token, refreshToken: reply.refresh_token };
    } catch (error) {
      const waits = error instanceof ResponseBodyError ? error.error : undefined;
      if (waits === 'slow_down') {
        intervalSeconds += SLOW_DOWN_SECONDS;
      } else if (waits !== 'authorization_pending') {
        throw error;
      }
    }
  }
}

function isOver(cause: unknown): boolean {
  return cause instanceof ResponseBodyError && cause.error === 'expired_token';
}

function nobodyCame(cause: unknown): HoopError {
  return new HoopError('HOOP_LOGIN_FAILED', 'nobody entered the code in time', {
    detail: `It was valid for ${DEVICE_TIMEOUT_MS / 60_000} minutes at most.`,
    hint: 'Run `hoop login --device` again.',
    cause,
  });
}
