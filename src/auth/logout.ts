/** `hoop logout`: the login ends at the gateway first, then its tokens are removed here. */

import { importDpopKey } from '../client/dpop-key.ts';
import { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';
import { type ClientConfig, type Home, locateHome, readConfig } from '../home.ts';
import { readCa, requireGateway, requireNoRun } from './open-gateway.ts';
import { withStateLock } from './state-lock.ts';
import { tokenLockPath } from './stored-tokens.ts';
import type { ProviderTokens, TokenRecord } from './token-record.ts';
import { findTokens, removeTokens } from './token-stores.ts';
import { identityChoice } from './workload/find-workload.ts';
import { logoutWorkload } from './workload/workload-logout.ts';

export interface LogoutOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Also the person's logins on other machines. */
  readonly all: boolean;
  /** Also the session at the identity provider; given: how a browser is opened there. */
  readonly atProvider?: ((url: string) => Promise<void>) | undefined;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface LogoutResult {
  readonly gateway: string;
  /** false: there was no login here. */
  readonly wasLoggedIn: boolean;
  /** Whether the gateway has ended it, too. */
  readonly endedAtGateway: boolean;
  /** The provider, where a session of it stays in the browser. */
  readonly staysAt?: string;
}

export async function logout(options: LogoutOptions): Promise<LogoutResult> {
  const home = locateHome(options.env);
  requireNoRun(home, 'logout');
  const config = readConfig(home, options.env);
  const gateway = requireGateway(config, options.env);
  const choice = identityChoice(options.env);
  const asPerson = choice === undefined || choice === 'login';
  const person = asPerson ? await logoutPerson({ home, config, gateway, options }) : NOT_LOGGED_IN;
  if (choice === 'login') {
    return { gateway, ...person };
  }
  const { env, all, signal } = options;
  await using client = new GatewayClient({ baseUrl: gateway, ca: readCa(config.ca, options.env) });
  const job = await logoutWorkload({ home, gateway, client, env, all, signal });
  return job
    ? {
        gateway,
        wasLoggedIn: true,
        endedAtGateway: person.endedAtGateway || !person.wasLoggedIn,
      }
    : { gateway, ...person };
}

const NOT_LOGGED_IN = { wasLoggedIn: false, endedAtGateway: false } as const;

function logoutPerson(from: {
  readonly home: Home;
  readonly config: ClientConfig;
  readonly gateway: string;
  readonly options: LogoutOptions;
}): Promise<Omit<LogoutResult, 'gateway'>> {
  const { home, config, gateway, options } = from;
  return withStateLock(tokenLockPath(home), options.signal, async () => {
    const { found } = await findTokens(home, config, gateway);
    if (found === undefined) {
      return NOT_LOGGED_IN;
    }
    const endedAtGateway = await endAtGateway(gateway, config, found.record, options);
    await removeTokens(home, config, gateway);
    const { provider } = found.record;
    const staysAt = provider === undefined ? undefined : await endAtProvider(provider, options);
    return {
      wasLoggedIn: true,
      endedAtGateway,
      ...(staysAt === undefined ? {} : { staysAt }),
    };
  });
}

/** @returns the provider whose session goes on */
async function endAtProvider(
  provider: ProviderTokens,
  { atProvider, note }: LogoutOptions,
): Promise<string | undefined> {
  const { issuer } = provider;
  if (atProvider === undefined) {
    return issuer;
  }
  const { logoutAtProvider } = await import('./provider-logout.ts');
  try {
    const { url, isRevoked } = await logoutAtProvider(provider);
    if (url !== undefined) {
      await atProvider(url);
      return undefined;
    }
    note(`${issuer} has no logout address${isRevoked ? '; its refresh token is revoked' : ''}`);
  } catch (error) {
    if (!(error instanceof HoopError)) {
      throw error;
    }
    note(`could not notify ${issuer}: ${error.message}`);
  }
  return issuer;
}

/** Without the gateway the tokens still go: whoever types `logout` wants them off this machine. */
async function endAtGateway(
  gateway: string,
  config: ClientConfig,
  record: TokenRecord,
  options: LogoutOptions,
): Promise<boolean> {
  try {
    await using client = new GatewayClient({ baseUrl: gateway, ca: readCa(config.ca) });
    const key = importDpopKey(record.key);
    await client.logout(record.refreshToken, key, options.signal, { all: options.all });
    return true;
  } catch (error) {
    if (!(error instanceof HoopError) || error.code === 'HOOP_INTERRUPTED') {
      throw error;
    }
    options.note(`could not notify the gateway: ${error.message}`);
    options.note(
      'its side of the login expires by itself (12 hours after it began, unless the policy says otherwise)',
    );
    return false;
  }
}
