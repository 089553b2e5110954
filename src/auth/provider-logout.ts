/**
 * The end of the session at the identity provider itself: its refresh token is given back (RFC 7009),
 * and the browser, which has the session's cookie, is sent to where one logs out.
 * https://openid.net/specs/openid-connect-rpinitiated-1_0.html
 */
import { buildEndSessionUrl, tokenRevocation } from 'openid-client';
import { HoopError } from '../errors.ts';
import { isSafeProviderUrl } from '../policy/provider-url.ts';
import { describeFailure, discoverProvider } from './provider-login.ts';
import type { ProviderTokens } from './token-record.ts';

export interface ProviderLogout {
  readonly issuer: string;
  /** The refresh token was given back; false: there was none, or the provider takes none. */
  readonly isRevoked: boolean;
  /** Where the browser ends its session; undefined: the provider has no such address. */
  readonly url: string | undefined;
}

/** @throws HoopError HOOP_IDP_UNREACHABLE, HOOP_LOGIN_FAILED */
export async function logoutAtProvider(tokens: ProviderTokens): Promise<ProviderLogout> {
  const { issuer, clientId, ca, refreshToken } = tokens;
  const server = await discoverProvider({ issuer, clientId, ca });
  const { revocation_endpoint: revocation, end_session_endpoint: end } = server.serverMetadata();
  const canRevoke = refreshToken !== undefined && revocation !== undefined;
  if (canRevoke) {
    try {
      await tokenRevocation(server, refreshToken, { token_type_hint: 'refresh_token' });
    } catch (cause) {
      throw describeFailure(cause);
    }
  }
  if (end !== undefined && !isSafeProviderUrl(end)) {
    throw new HoopError('HOOP_LOGIN_FAILED', `"${end}" is neither https nor on this machine`);
  }
  // Without a hint of who it is: the provider asks, and nobody is logged out by a link alone.
  const url = end === undefined ? undefined : buildEndSessionUrl(server).href;
  return { issuer, isRevoked: canRevoke, url };
}
