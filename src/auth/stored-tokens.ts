/**
 * The tokens of a login, renewed as they run out. Several hoop processes share them, and a refresh
 * handle that two of them send is taken for theft: so one renews, under a lock, and the others
 * read what it stored.
 */
import { join } from 'node:path';
import type { TokenReply } from '../api/login.ts';
import type { Credential, TokenSource } from '../client/authorized-requests.ts';
import { type DpopKey, importDpopKey } from '../client/dpop-key.ts';
import { runLockPath } from '../client/run-states.ts';
import { HoopError } from '../errors.ts';
import type { ClientConfig, Home } from '../home.ts';
import { SharedWork } from '../shared-work.ts';
import { withStateLock } from './state-lock.ts';
import {
  type ProviderTokens,
  type TokenRecord,
  type TokenStore,
  toTokenRecord,
} from './token-record.ts';
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
    idToken?: string,
  ) => Promise<TokenReply>;
  /** Asks the identity provider for a new ID token. */
  readonly confirm: (tokens: ProviderTokens) => Promise<ProviderTokens & { idToken: string }>;
  readonly warn?: ((text: string) => void) | undefined;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class StoredTokens implements TokenSource {
  readonly #options: StoredTokensOptions;
  #record: TokenRecord | undefined;
  readonly #renewal = new SharedWork<TokenRecord>();

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
              'The token file has no login, and no keychain on this machine answers.',
        hint: `Log in with \`hoop login --gateway ${gateway}\`.`,
        ...(problem === undefined ? {} : { cause: problem }),
      });
    }
    return found;
  }

  /** Whether the identity provider should confirm the login now. */
  isDue(record: TokenRecord | undefined = this.#record): boolean {
    return record?.freshFromMs !== undefined && record.freshFromMs <= this.#options.clock();
  }

  #isFresh(record: TokenRecord): boolean {
    const hasTime = record.expiresAtMs - this.#options.clock() >= MIN_REMAINING_MS;
    return hasTime && !this.#mustConfirm(record) && !this.isDue(record);
  }

  #mustConfirm({ freshUntilMs }: TokenRecord): boolean {
    return freshUntilMs !== undefined && freshUntilMs <= this.#options.clock();
  }

  /** One renewal at a time in this process; the lock sees to the others. */
  async #renew(stale: string | undefined, signal: AbortSignal): Promise<TokenRecord> {
    const join = () =>
      this.#renewal.join(signal, (ofAll) =>
        withStateLock(tokenLockPath(this.#options.home), ofAll, () =>
          this.#renewLocked(stale, ofAll),
        ),
      );
    const record = await join();
    // Whoever began it may not have known that the gateway refuses this one.
    return record.accessToken === stale ? join() : record;
  }

  async #renewLocked(stale: string | undefined, signal: AbortSignal): Promise<TokenRecord> {
    const { gateway } = this.#options;
    const { store, record } = await this.find();
    const renewedByOthers =
      stale === undefined ? this.#isFresh(record) : record.accessToken !== stale;
    if (renewedByOthers) {
      return record;
    }
    try {
      return await this.#renewRecord(store, record, signal);
    } catch (error) {
      const isOver = error instanceof HoopError && error.code.startsWith('HOOP_TOKEN_');
      // A login that waits for its provider's word goes on with it.
      if (!isOver || error.code === 'HOOP_TOKEN_STALE') {
        throw error;
      }
      await store.remove(gateway);
      throw new HoopError('HOOP_NOT_LOGGED_IN', `the login to "${gateway}" has ended`, {
        detail: [`The gateway says: ${error.message}.`, error.detail].filter(Boolean).join(' '),
        hint: `Log in again with \`hoop login --gateway ${gateway}\`.`,
        cause: error,
      });
    }
  }

  async #renewRecord(
    store: TokenStore,
    before: TokenRecord,
    signal: AbortSignal,
  ): Promise<TokenRecord> {
    const { gateway, refresh, clock, confirm: ask } = this.#options;
    const key = importDpopKey(before.key);
    let record = before;
    const confirm = async (of: ProviderTokens): Promise<string> => {
      const { idToken, ...now } = await ask(of);
      record = { ...record, provider: now };
      // At once: the refresh token from before may be worth nothing any more.
      await store.write(gateway, record);
      return idToken;
    };
    const send = async (idToken?: string): Promise<TokenRecord> => {
      const reply = await refresh(record.refreshToken, key, signal, idToken);
      const renewed = toTokenRecord(reply, key, clock(), record.provider);
      await store.write(gateway, renewed);
      return renewed;
    };
    const { provider } = before;
    if (provider !== undefined && this.isDue(before)) {
      const idToken = await confirm(provider).catch((error: unknown) => {
        this.#goOnWithout(record, error);
        return undefined;
      });
      return send(idToken);
    }
    try {
      return await send();
    } catch (error) {
      const isStale = error instanceof HoopError && error.code === 'HOOP_TOKEN_STALE';
      if (!isStale || provider === undefined) {
        throw error;
      }
      // The policy has come to want it since, or this machine has slept.
      return send(await confirm(provider));
    }
  }

  /** A provider that is down for a moment is asked again while its last word still counts. */
  #goOnWithout(record: TokenRecord, error: unknown): void {
    const { freshUntilMs = 0 } = record;
    const isDown = error instanceof HoopError && error.code === 'HOOP_IDP_UNREACHABLE';
    if (!isDown || this.#mustConfirm(record)) {
      throw error;
    }
    const seconds = Math.ceil((freshUntilMs - this.#options.clock()) / 1000);
    this.#options.warn?.(
      `${error.message}; the login needs its confirmation within ${seconds} s, or its sessions end`,
    );
  }
}

/** Held while tokens are renewed, stored or removed. */
export function tokenLockPath(home: Home): string {
  return home.run === undefined ? join(home.state, 'tokens.lock') : runLockPath(home.state);
}

function toCredential(record: TokenRecord): Credential {
  return { accessToken: record.accessToken, key: importDpopKey(record.key) };
}
