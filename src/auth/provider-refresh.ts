/** A new ID token for a login that there is: by the refresh token that came with the last one. */
import { ResponseBodyError, refreshTokenGrant } from 'openid-client';
import { HoopError } from '../errors.ts';
import { fetchFailure, isForNow } from '../provider-fetch.ts';
import { discoverProvider } from './provider-login.ts';
import type { ProviderTokens } from './token-record.ts';

/**
 * Whoever was disabled at the provider, or logged out there, is refused.
 * @returns the tokens of now; providers may give another refresh token each time
 * @throws HoopError HOOP_NOT_LOGGED_IN, HOOP_IDP_UNREACHABLE
 */
export async function refreshAtProvider(
  tokens: ProviderTokens,
): Promise<ProviderTokens & { readonly idToken: string }> {
  const { issuer, clientId, ca, refreshToken } = tokens;
  if (refreshToken === undefined) {
    throw ended(`"${issuer}" issued no refresh token at login.`, undefined);
  }
  const server = await discoverProvider({ issuer, clientId, ca });
  try {
    const reply = await refreshTokenGrant(server, refreshToken);
    if (reply.id_token === undefined) {
      throw ended(`"${issuer}" issues no ID token for a refresh token.`, undefined);
    }
    return {
      ...tokens,
      refreshToken: reply.refresh_token ?? refreshToken,
      idToken: reply.id_token,
    };
  } catch (cause) {
    if (cause instanceof HoopError) {
      throw cause;
    }
    if (cause instanceof ResponseBodyError && !isPassing(cause)) {
      const said = cause.error_description ?? cause.error;
      throw ended(`"${issuer}" says: ${said.replace(/\.$/, '')}.`, cause);
    }
    throw new HoopError(
      'HOOP_IDP_UNREACHABLE',
      `"${issuer}" does not renew the login at the moment`,
      {
        detail: `${fetchFailure(cause)}.`,
        hint: 'hoop keeps trying while it runs.',
        cause,
      },
    );
  }
}

/** Of RFC 6749 §4.1.2.1 and RFC 8628 §3.5; some servers send them from here too, with 400. */
const ERRORS_FOR_NOW: ReadonlySet<string> = new Set([
  'server_error',
  'temporarily_unavailable',
  'slow_down',
]);

/** It says nothing about the login. */
function isPassing({ status, error }: ResponseBodyError): boolean {
  return isForNow(status) || ERRORS_FOR_NOW.has(error);
}

function ended(detail: string, cause: unknown): HoopError {
  return new HoopError('HOOP_NOT_LOGGED_IN', 'the identity provider does not renew the login', {
    detail,
    hint: 'Log in again with `hoop login`; if that is refused, ask whoever runs the provider.',
    cause,
  });
}
