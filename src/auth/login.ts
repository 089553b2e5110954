/** `hoop login`: learn who the gateway is, log in at its identity provider, keep what it gives. */
import { resolve } from 'node:path';
import type { InfoReply, WhoamiReply } from '../api/login.ts';
import { tokenNonce } from '../api/login-nonce.ts';
import { generateDpopKey, thumbprintOf } from '../client/dpop-key.ts';
import { GatewayClient } from '../client/gateway-client.ts';
import { normalizeGatewayUrl } from '../client/gateway-url.ts';
import { HoopError } from '../errors.ts';
import { type ClientConfig, type Home, requireWritable, writeConfig } from '../home.ts';
import { type DeviceCode, loginWithDeviceCode } from './device-login.ts';
import { groupsProblem } from './groups-problem.ts';
import { readCa } from './open-gateway.ts';
import { type LoginProvider, type LoginTokens, loginAtProvider } from './provider-login.ts';
import { withStateLock } from './state-lock.ts';
import { tokenLockPath } from './stored-tokens.ts';
import { type TokenRecord, toTokenRecord } from './token-record.ts';
import { chooseTokenStore, removeTokens } from './token-stores.ts';
import {
  checkGatewayKeys,
  checkSigners,
  readTrust,
  rootKeyFingerprint,
  writePin,
} from './trust.ts';

export interface LoginOptions {
  readonly home: Home;
  /** As stored; what changes is written back. */
  readonly config: ClientConfig;
  readonly gateway: string;
  /** PEM file. */
  readonly ca?: string | undefined;
  /** Which identity provider, where the policy names several. */
  readonly issuer?: string | undefined;
  /** Root key that the gateway must have, as its administrator gives it: `SHA256:…`. */
  readonly fingerprint?: string | undefined;
  /** Says where the name of the CA's file came from. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Accept keys of the gateway that differ from the pinned ones. */
  readonly trust?: boolean | undefined;
  /** undefined: the user opens the URL. */
  readonly openBrowser: ((url: string) => Promise<boolean>) | undefined;
  /** Given: a login with a code that is entered on another device. */
  readonly showDeviceCode?: ((code: DeviceCode) => void) | undefined;
  /** `note` unless given. */
  readonly showUrl?: ((url: string) => void) | undefined;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface LoginResult {
  /** Base URL. */
  readonly gateway: string;
  readonly name: string;
  readonly whoami: WhoamiReply;
  /** For people: where the tokens are kept. */
  readonly tokenStore: string;
  readonly firstUse: boolean;
  readonly rootKeyFingerprint: string;
}

/** @throws HoopError */
export async function login(options: LoginOptions): Promise<LoginResult> {
  const { home, note, signal } = options;
  const gateway = normalizeGatewayUrl(options.gateway);
  const caPath = options.ca === undefined ? undefined : resolve(options.ca);
  const { ca: _, ...kept } = options.config;
  const config: ClientConfig = {
    ...kept,
    gateway,
    ...(caPath === undefined ? {} : { ca: caPath }),
  };
  const ca = readCa(caPath, options.env);
  // Before anybody logs in for nothing.
  requireWritable(home);
  await using anonymous = new GatewayClient({ baseUrl: gateway, ca });
  const info = await anonymous.info(signal);
  const pinned = options.trust === true ? undefined : readTrust(home).get(gateway);
  const { pin, firstUse } = checkGatewayKeys(pinned, gateway, info, Date.now());
  checkSigners(pinned, gateway, info);
  const found = rootKeyFingerprint(pin.rootKey);
  requireFingerprint(options.fingerprint, gateway, found);
  if (firstUse) {
    note(`gateway "${pin.gateway}" has the root key ${found}`);
    note(
      options.fingerprint === undefined
        ? 'compare it with the fingerprint from its administrator; hoop trusts it after this login'
        : 'it is the one that --fingerprint names',
    );
  }
  if (options.config.gateway === undefined) {
    // A login that is broken off need not be told the address again.
    writeConfig(home, config);
  }
  const key = generateDpopKey();
  const provider = chooseProvider(info, options.issuer);
  const { loginNonce } = info;
  const use = async ({ idToken, refreshToken }: LoginTokens): Promise<LoginResult> => {
    if (provider.fresh !== undefined && refreshToken === undefined) {
      throw noRefreshToken(provider);
    }
    const reply = await anonymous.exchange(idToken, key, signal, loginNonce);
    const credential = { accessToken: reply.access_token, key };
    await using client = new GatewayClient({
      baseUrl: gateway,
      ca,
      tokens: { current: async () => credential, renewed: async () => credential },
    });
    const whoami = await client.whoami(signal);
    // Who is named by `users` needs none; `hoop targets` and `hoop doctor` say the rest.
    const problem = whoami.missingGroups === undefined ? undefined : groupsProblem(whoami);
    if (problem !== undefined) {
      note(`the login ${problem.text}`);
      note(problem.hint);
    }
    const { issuer, ca: providerCa, device } = provider;
    const isDevice = options.showDeviceCode !== undefined;
    const record = toTokenRecord(reply, key, Date.now(), {
      issuer,
      clientId: (isDevice ? device?.clientId : undefined) ?? provider.clientId,
      ca: providerCa,
      refreshToken,
    });
    const tokenStore = await keepTokens({ home, config, gateway, record, note, signal });
    await writePin(home, gateway, pin, signal);
    writeConfig(home, config);
    return {
      gateway,
      name: whoami.name,
      whoami,
      tokenStore,
      firstUse,
      rootKeyFingerprint: rootKeyFingerprint(pin.rootKey),
    };
  };
  const { showDeviceCode } = options;
  if (showDeviceCode !== undefined) {
    return await use(await loginWithDeviceCode({ provider, showCode: showDeviceCode, signal }));
  }
  const showUrl = options.showUrl ?? ((url) => note(`log in at ${url}`));
  const { openBrowser } = options;
  const nonce = loginNonce === undefined ? undefined : tokenNonce(loginNonce, thumbprintOf(key));
  return await loginAtProvider({ provider, showUrl, openBrowser, note, nonce, signal }, use);
}

/** @throws HoopError HOOP_GATEWAY_KEY */
function requireFingerprint(wanted: string | undefined, gateway: string, found: string): void {
  if (wanted !== undefined && wanted.trim().replace(/=+$/, '') !== found) {
    throw new HoopError('HOOP_GATEWAY_KEY', `"${gateway}" has another root key than you named`, {
      detail: `Named: ${wanted.trim()}. Found: ${found}.`,
      hint: 'Check the fingerprint and the address with the administrator. Nothing was sent or stored.',
    });
  }
}

function noRefreshToken({ issuer, fresh = 0, scopes }: LoginProvider): HoopError {
  return new HoopError('HOOP_LOGIN_FAILED', 'the identity provider issued no refresh token', {
    detail: `The policy requires "${issuer}" to confirm each login every ${Math.ceil(fresh / 60)} min (\`fresh\`), and hoop needs a refresh token for that.`,
    hint: scopes.includes('offline_access')
      ? 'Ask whoever runs the provider to allow refresh tokens for the client.'
      : 'Many providers require the scope offline_access for it: add it to `scopes` in hoop.yaml.',
  });
}

function chooseProvider(info: InfoReply, issuer: string | undefined): LoginProvider {
  const { identityProviders } = info;
  const [first, second] = identityProviders;
  if (first === undefined) {
    throw new HoopError('HOOP_LOGIN_FAILED', 'the gateway names no identity provider', {
      detail: 'It has no policy in force, or one without `identityProviders`.',
      hint: 'Ask whoever runs the gateway.',
    });
  }
  if (issuer === undefined && second === undefined) {
    return first;
  }
  const chosen = identityProviders.find((provider) => provider.issuer === issuer);
  if (chosen === undefined) {
    throw new HoopError('HOOP_USAGE', 'the gateway does not have this identity provider', {
      detail: `It has: ${identityProviders.map((provider) => provider.issuer).join(', ')}.`,
      hint: 'Choose one of them with --issuer URL.',
    });
  }
  return chosen;
}

interface Keep {
  readonly home: Home;
  readonly config: ClientConfig;
  readonly gateway: string;
  readonly record: TokenRecord;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** @returns where the tokens are now */
async function keepTokens(keep: Keep): Promise<string> {
  const { home, config, gateway, record, note, signal } = keep;
  return withStateLock(tokenLockPath(home), signal, async () => {
    const { store, problem } = await chooseTokenStore(home, config);
    // The old ones may be in the other store, where they would be found first.
    await removeTokens(home, config, gateway);
    await store.write(gateway, record);
    if (problem !== undefined) {
      note(`no keychain here, so tokens are stored in the ${store.description} (mode 0600)`);
    }
    return store.description;
  });
}
