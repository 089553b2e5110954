/**
 * Which of the two stores holds a login. The file is looked at first: it holds something only
 * where there was no keychain, or where somebody wanted it so.
 */
import { HoopError } from '../errors.ts';
import type { ClientConfig, Home } from '../home.ts';
import { FileTokenStore } from './file-token-store.ts';
import { KeychainTokenStore } from './keychain-token-store.ts';
import type { TokenRecord, TokenStore } from './token-record.ts';

export interface FoundTokens {
  readonly store: TokenStore;
  readonly record: TokenRecord;
}

export interface SearchedTokens {
  readonly found: FoundTokens | undefined;
  /** Why the keychain could not be asked, when nothing was found. */
  readonly problem: HoopError | undefined;
}

export async function findTokens(
  home: Home,
  config: ClientConfig,
  gateway: string,
): Promise<SearchedTokens> {
  const file = new FileTokenStore(home.state);
  const inFile = await file.read(gateway);
  if (inFile !== undefined) {
    return { found: { store: file, record: inFile }, problem: undefined };
  }
  if (config.tokenStore === 'file') {
    return { found: undefined, problem: undefined };
  }
  try {
    const keychain = await KeychainTokenStore.open(home.state);
    const record = await keychain.read(gateway);
    return {
      found: record === undefined ? undefined : { store: keychain, record },
      problem: undefined,
    };
  } catch (error) {
    if (error instanceof HoopError && error.code === 'HOOP_LOCAL_STATE') {
      return { found: undefined, problem: error };
    }
    throw error;
  }
}

export interface ChosenStore {
  readonly store: TokenStore;
  /** Why it is the file, when nobody asked for the file. */
  readonly problem: HoopError | undefined;
}

/** @throws HoopError HOOP_LOCAL_STATE when the configuration insists on a keychain and there is none */
export async function chooseTokenStore(home: Home, config: ClientConfig): Promise<ChosenStore> {
  const file = new FileTokenStore(home.state);
  if (config.tokenStore === 'file') {
    return { store: file, problem: undefined };
  }
  try {
    const keychain = await KeychainTokenStore.open(home.state);
    await keychain.probe();
    return { store: keychain, problem: undefined };
  } catch (error) {
    if (!(error instanceof HoopError) || config.tokenStore === 'keychain') {
      throw error;
    }
    return { store: file, problem: error };
  }
}

/** From wherever it may be. @returns whether there was anything */
export async function removeTokens(
  home: Home,
  config: ClientConfig,
  gateway: string,
): Promise<boolean> {
  let removed = false;
  while (true) {
    const { found } = await findTokens(home, config, gateway);
    if (found === undefined || !(await found.store.remove(gateway))) {
      return removed;
    }
    removed = true;
  }
}
