/** The start of every command that talks to the gateway: configuration, CA, pins, tokens. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GatewayClient } from '../client/gateway-client.ts';
import { normalizeGatewayUrl } from '../client/gateway-url.ts';
import { sweepRuntimeDirectories } from '../client/runtime-directory.ts';
import { HoopError } from '../errors.ts';
import {
  type ClientConfig,
  type Home,
  isMissing,
  locateHome,
  readConfig,
  writeFileAtomic,
} from '../home.ts';
import { chooseIdentity } from './choose-identity.ts';
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
  const ca = readCa(config.ca, io.env);
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
    const directory = env['HOOP_HOME'];
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'not logged in to any gateway', {
      detail:
        directory && !existsSync(directory)
          ? `HOOP_HOME names "${directory}", which does not exist. A demo that has ended removes its directory.`
          : undefined,
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
      detail: `This is run ${home.run}, which has its own login and ends with it.`,
      hint: `Run it in a shell outside \`hoop run\`.`,
    });
  }
}

/**
 * @param env HOOP_CA in it may be what names the file
 * @returns PEM text
 * @throws HoopError HOOP_CONFIG
 */
export function readCa(path: string | undefined, env: NodeJS.ProcessEnv = {}): string | undefined {
  if (path === undefined) {
    return undefined;
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = isMissing(cause) ? 'there is no such file' : 'it cannot be read';
    const isVariable = env['HOOP_CA'] === path;
    throw new HoopError(
      'HOOP_CONFIG',
      `cannot read the CA certificate "${path}"${isVariable ? ', which HOOP_CA names' : ''}: ${why}`,
      {
        hint: isVariable
          ? 'Correct HOOP_CA, or unset it to use the CA of your login.'
          : 'Name the PEM file with `hoop login --gateway URL --ca FILE`; HOOP_CA overrides it.',
        cause,
      },
    );
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) {
    throw new HoopError('HOOP_CONFIG', `"${path}" contains no PEM certificate`, {
      hint: 'Name the PEM file of the CA that signed the gateway’s certificate.',
    });
  }
  return text;
}

/**
 * Has a login confirmed at its provider while a command runs, also one that sends the gateway
 * nothing for hours: else its sessions would end in the middle of the work.
 */

/** Looks at the clock and no more, so a laptop that has slept is not late for longer than this. */
const LOOK_EVERY_MS = 5000;

interface KeptFresh {
  /** Whether the provider should be asked now. */
  readonly isDue: () => boolean;
  readonly renew: (signal: AbortSignal) => Promise<void>;
}

/** @param note is told why it fails, once for each reason */
function keepFresh(login: KeptFresh, note: (text: string) => void): Disposable {
  const stopped = new AbortController();
  let told: string | undefined;
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy || !login.isDue()) {
      return;
    }
    isBusy = true;
    login
      .renew(stopped.signal)
      .then(() => {
        told = undefined;
      })
      .catch((error: unknown) => {
        const why = error instanceof HoopError ? describe(error) : 'an unexpected error';
        if (!stopped.signal.aborted && why !== told) {
          told = why;
          note(`the login was not renewed: ${why}`);
        }
      })
      .finally(() => {
        isBusy = false;
      });
  }, LOOK_EVERY_MS);
  // What the command does keeps it alive, not this.
  timer.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      stopped.abort(new HoopError('HOOP_INTERRUPTED', 'the command is over'));
    },
  };
}

function describe({ message, detail }: HoopError): string {
  return detail === undefined ? message : `${message}. ${detail}`;
}

/**
 * The nonce of the gateway's last answer, for the next command: it may be used for some minutes, and
 * without one the first request is refused and sent again (RFC 9449 §8). It is no secret, since a
 * proof needs the key as well.
 */
const FILE = 'nonce.json';
const MAX_LENGTH = 200;

/** @returns undefined: none is kept for this gateway, or what is kept cannot be read */
function readKeptNonce(home: Home, gateway: string): string | undefined {
  try {
    const kept: unknown = JSON.parse(readFileSync(join(home.state, FILE), 'utf8'));
    const isOurs = typeof kept === 'object' && kept !== null && 'gateway' in kept;
    const nonce = isOurs && kept.gateway === gateway && 'nonce' in kept ? kept.nonce : undefined;
    return typeof nonce === 'string' && nonce.length <= MAX_LENGTH ? nonce : undefined;
  } catch {
    // The gateway gives another one.
    return undefined;
  }
}

/** At the end of a command; what cannot be kept costs the next one a round trip. */
function keepNonce(home: Home, gateway: string, nonce: string | undefined): void {
  if (nonce === undefined) {
    return;
  }
  try {
    writeFileAtomic(join(home.state, FILE), `${JSON.stringify({ gateway, nonce })}\n`);
  } catch {
    // A full disk is told by what needs it.
  }
}
