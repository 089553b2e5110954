/** What a login is given: a session token, and the handle that buys the next one. */
import { type KeyObject, randomBytes } from 'node:crypto';
import type { TokenReply } from '../../api/login.ts';
import type { CurrentLogin } from './logins.ts';
import { type LoginPolicy, loginFacts } from './stored-login.ts';
import { issueSessionToken, SESSION_TOKEN_SECONDS } from './tokens/session-token.ts';

const TYPE_ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export interface IssueOptions extends LoginPolicy {
  readonly signingKey: KeyObject;
  readonly origins: () => readonly string[];
}

/** @returns also when the session token ends, in seconds since 1970 */
export async function issueTokens(
  { family, refreshHandle }: CurrentLogin,
  options: IssueOptions,
): Promise<{ readonly reply: TokenReply; readonly exp: number }> {
  const now = Math.floor(options.clock() / 1000);
  const name = gatewayName(options.origins());
  const { freshUntilMs, endsAtMs } = loginFacts(family, options);
  // Never beyond the login.
  const exp = Math.min(now + SESSION_TOKEN_SECONDS, Math.floor(endsAtMs / 1000));
  const accessToken = await issueSessionToken(
    {
      iss: name,
      aud: name,
      sub: family.sub,
      sid: family.id,
      jti: randomBytes(16).toString('base64url'),
      iat: now,
      exp,
      cnf: { jkt: family.jkt },
    },
    options.signingKey,
  );
  const reply = {
    access_token: accessToken,
    issued_token_type: TYPE_ACCESS_TOKEN,
    token_type: 'DPoP',
    expires_in: exp - now,
    refresh_token: refreshHandle,
    login_expires_in: Math.floor(endsAtMs / 1000) - now,
    ...(freshUntilMs === undefined
      ? {}
      : { fresh_expires_in: Math.floor(freshUntilMs / 1000) - now }),
  } as const;
  return { reply, exp };
}

/** What its session tokens call this gateway: issuer and audience. */
export function gatewayName([name]: readonly string[]): string {
  if (name === undefined) {
    throw new TypeError('a gateway needs at least one base URL');
  }
  return name;
}
