/**
 * The tokens of a login, renewed as they run out. Several hoop processes share them, and a refresh
 * handle that two of them send is taken for theft: so one renews, under a lock, and the others
 * read what it stored.
 */
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import type { ClientConfig, Home } from '../home.ts';
import type { TokenReply } from '../tunnel/api.ts';
import type { Credential, TokenSource } from '../tunnel/authorized-requests.ts';
import { type DpopKey, importDpopKey } from '../tunnel/dpop-key.ts';
import { withStateLock } from './state-lock.ts';
import { type TokenRecord, toTokenRecord } from './token-record.ts';
import { type FoundTokens, findTokens } from './token-stores.ts';

/** A token that ends sooner is renewed before it is used. */
const MIN_REMAINING_MS = 30_000;

export interface StoredTokensOptions {
  readonly home: Home;
  readonly config: ClientConfig;
  /** Base URL. */
  readonly gateway: string;
  readonly refresh: (
    refreshToken: string,
    key: DpopKey,
    signal: AbortSignal,
  ) => Promise<TokenReply>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class StoredTokens implements TokenSource {
  readonly #options: StoredTokensOptions;
  #record: TokenRecord | undefined;
  #renewal: Promise<TokenRecord> | undefined;

  constructor(options: StoredTokensOptions) {
    this.#options = options;
  }

  /** @throws HoopError HOOP_NOT_LOGGED_IN */
  async current(signal: AbortSignal): Promise<Credential> {
    this.#record ??= (await this.find()).record;
    if (!this.#isFresh(this.#record)) {
      this.#record = await this.#renew(undefined, signal);
    }
    return toCredential(this.#record);
  }

  async renewed(stale: string, signal: AbortSignal): Promise<Credential> {
    this.#record = await this.#renew(stale, signal);
    return toCredential(this.#record);
  }

  /** @throws HoopError HOOP_NOT_LOGGED_IN */
  async find(): Promise<FoundTokens> {
    const { home, config, gateway } = this.#options;
    const { found, problem } = await findTokens(home, config, gateway);
    if (found === undefined) {
      throw new HoopError('HOOP_NOT_LOGGED_IN', `not logged in to "${gateway}"`, {
        detail:
          problem === undefined
            ? undefined
            : // In words only: what the system's bus says about it (kept as the cause) helps nobody.
              'There is none in the token file, and no keychain on this machine answers.',
        hint: `Log in with \`hoop login --gateway ${gateway}\`.`,
        ...(problem === undefined ? {} : { cause: problem }),
      });
    }
    return found;
  }

  #isFresh(record: TokenRecord): boolean {
    return record.expiresAtMs - this.#options.clock() >= MIN_REMAINING_MS;
  }

  /** One renewal at a time in this process; the lock sees to the others. */
  #renew(stale: string | undefined, signal: AbortSignal): Promise<TokenRecord> {
    this.#renewal ??= withStateLock(tokenLockPath(this.#options.home), signal, () =>
      this.#renewLocked(stale, signal),
    ).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renewLocked(stale: string | undefined, signal: AbortSignal): Promise<TokenRecord> {
    const { gateway, refresh, clock } = this.#options;
    const { store, record } = await this.find();
    const renewedByOthers =
      stale === undefined ? this.#isFresh(record) : record.accessToken !== stale;
    if (renewedByOthers) {
      return record;
    }
    const key = importDpopKey(record.key);
    let reply: TokenReply;
    try {
      reply = await refresh(record.refreshToken, key, signal);
    } catch (error) {
      if (!(error instanceof HoopError) || !error.code.startsWith('HOOP_TOKEN_')) {
        throw error;
      }
      await store.remove(gateway);
      throw new HoopError('HOOP_NOT_LOGGED_IN', `the login to "${gateway}" has ended`, {
        detail: `The gateway says: ${error.message}.`,
        hint: `Log in again with \`hoop login --gateway ${gateway}\`.`,
        cause: error,
      });
    }
    const renewed = toTokenRecord(reply, key, clock());
    await store.write(gateway, renewed);
    return renewed;
  }
}

/** Held while tokens are renewed, stored or removed. */
export function tokenLockPath(home: Home): string {
  return join(home.state, 'tokens.lock');
}

function toCredential(record: TokenRecord): Credential {
  return { accessToken: record.accessToken, key: importDpopKey(record.key) };
}
