/** The start of every command that talks to the gateway: configuration, CA, pins, tokens. */
import { readFileSync } from 'node:fs';
import { GatewayClient } from '../client/gateway-client.ts';
import { normalizeGatewayUrl } from '../client/gateway-url.ts';
import { sweepRuntimeDirectories } from '../client/runtime-directory.ts';
import { HoopError } from '../errors.ts';
import { type ClientConfig, type Home, locateHome, readConfig } from '../home.ts';
import { chooseIdentity } from './choose-identity.ts';
import { keepFresh } from './keep-fresh.ts';
import { keepNonce, readKeptNonce } from './kept-nonce.ts';
import { StoredTokens } from './stored-tokens.ts';
import type { TokenRecord } from './token-record.ts';
import { findTokens } from './token-stores.ts';
import { type GatewayPin, pinnedGateway } from './trust.ts';

export interface OpenGateway extends AsyncDisposable {
  readonly client: GatewayClient;
  readonly home: Home;
  readonly config: ClientConfig;
  /** Base URL. */
  readonly gateway: string;
  readonly pin: GatewayPin;
  /** Where the login is kept. */
  readonly tokens: {
    readonly store: { readonly description: string };
    readonly record?: TokenRecord;
  };
}

interface OpeningIo {
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly note?: (text: string) => void;
}

/**
 * Nothing is sent yet, unless a workload comes to this gateway for the first time.
 * @throws HoopError HOOP_CONFIG, HOOP_NOT_LOGGED_IN, HOOP_LOCAL_STATE
 */
export async function openGateway(io: OpeningIo): Promise<OpenGateway> {
  const home = locateHome(io.env);
  sweepRuntimeDirectories(home.runtime);
  const config = readConfig(home, io.env);
  const gateway = requireGateway(config, io.env);
  const ca = readCa(config.ca);
  // What runs inside a run has the run's login, whatever stands in its environment.
  if (home.run === undefined) {
    const { env, note, signal = new AbortController().signal } = io;
    const findLogin = () => findTokens(home, config, gateway);
    const identity = await chooseIdentity({ env, gateway, findLogin, signal });
    if (identity.kind === 'workload') {
      const { openAsWorkload } = await import('./workload/open-as-workload.ts');
      return openAsWorkload(identity, { home, config, gateway, ca, env, note, signal });
    }
  }
  const source = new StoredTokens({
    home,
    config,
    gateway,
    refresh: (refreshToken, key, signal, idToken) =>
      client.refresh(refreshToken, key, signal, idToken),
    confirm: async (provider) => {
      const { refreshAtProvider } = await import('./provider-refresh.ts');
      return refreshAtProvider(provider);
    },
    warn: io.note,
    clock: Date.now,
  });
  const tokens = await source.find().catch((error: unknown) => {
    throw withVariable(error, home, io.env);
  });
  const pin = pinnedGateway(home, gateway);
  const nonce = readKeptNonce(home, gateway);
  const client = new GatewayClient({ baseUrl: gateway, ca, tokens: source, nonce });
  const fresh = keepFresh(
    {
      isDue: () => source.isDue(),
      renew: async (signal) => {
        await source.current(signal);
      },
    },
    io.note ?? (() => undefined),
  );
  return {
    client,
    home,
    config,
    gateway,
    pin,
    tokens,
    [Symbol.asyncDispose]: () => {
      fresh[Symbol.dispose]();
      keepNonce(home, gateway, client.nonce);
      return client[Symbol.asyncDispose]();
    },
  };
}

/** @throws HoopError HOOP_NOT_LOGGED_IN, HOOP_CONFIG */
export function requireGateway(config: ClientConfig, env: NodeJS.ProcessEnv): string {
  if (config.gateway === undefined) {
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'not logged in to any gateway', {
      hint: 'Log in with `hoop login --gateway URL`, or try `hoop demo`.',
    });
  }
  try {
    return normalizeGatewayUrl(config.gateway);
  } catch (error) {
    throw withVariable(error, locateHome(env), env);
  }
}

/** Who has forgotten a variable looks for the mistake where it is not. */
function withVariable(error: unknown, home: Home, env: NodeJS.ProcessEnv): unknown {
  if (!(error instanceof HoopError) || !env['HOOP_GATEWAY']) {
    return error;
  }
  const stored = readConfig(home, {}).gateway;
  const otherwise = stored === undefined ? '' : `; without it, it is ${stored}`;
  const detail = `${error.detail ?? ''} The variable HOOP_GATEWAY names it${otherwise}.`.trim();
  const { code, message, hint } = error;
  return new HoopError(code, message, { detail, hint, cause: error });
}

/** Its login is not the person's to change, and the person's is not the run's. */
export function requireNoRun(home: Home, command: 'login' | 'logout'): void {
  if (home.run !== undefined) {
    throw new HoopError('HOOP_USAGE', `no \`hoop ${command}\` inside a run`, {
      detail: `This is run ${home.run}, which has a login of its own and ends with it.`,
      hint: `Run it in a shell outside of \`hoop run\`.`,
    });
  }
}

/** @returns PEM text. @throws HoopError HOOP_CONFIG */
export function readCa(path: string | undefined): string | undefined {
  if (path === undefined) {
    return undefined;
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HoopError('HOOP_CONFIG', `cannot read the CA certificate "${path}"`, {
      hint: 'Name the PEM file with `hoop login --gateway URL --ca FILE`; HOOP_CA wins over it.',
      cause,
    });
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new HoopError('HOOP_CONFIG', `"${path}" holds no certificate in PEM form`, {
      hint: 'Name the PEM file of the CA that signed the gateway’s certificate.',
    });
  }
  return text;
}
