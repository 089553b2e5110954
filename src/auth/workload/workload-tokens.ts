/**
 * The tokens of a workload's login. Nobody logs in: the platform's token is exchanged when the first
 * command needs it, and again before the login ends, so that a long job goes on.
 */

import type { TokenReply } from '../../api/login.ts';
import type { Credential, TokenSource } from '../../client/authorized-requests.ts';
import {
  type DpopKey,
  exportDpopKey,
  generateDpopKey,
  importDpopKey,
} from '../../client/dpop-key.ts';
import { HoopError } from '../../errors.ts';
import type { Home } from '../../home.ts';
import { SharedWork } from '../../shared-work.ts';
import { withStateLock } from '../state-lock.ts';
import type { ChosenWorkload } from './find-workload.ts';
import { type WorkloadLogin, type WorkloadState, WorkloadStateFile } from './workload-state.ts';

/** A token that ends sooner is renewed before it is used. */
const MIN_REMAINING_MS = 30_000;
/** A login that ends sooner is made to last longer. */
const MIN_LOGIN_MS = 15 * 60_000;

export interface WorkloadTokensOptions {
  readonly home: Home;
  /** Base URL. */
  readonly gateway: string;
  readonly chosen: ChosenWorkload;
  readonly audience: string;
  readonly exchange: (token: string, key: DpopKey, signal: AbortSignal) => Promise<TokenReply>;
  readonly refresh: (handle: string, key: DpopKey, signal: AbortSignal) => Promise<TokenReply>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class WorkloadTokens implements TokenSource {
  readonly #options: WorkloadTokensOptions;
  readonly #file: WorkloadStateFile;
  #state: WorkloadState | undefined;
  readonly #renewal = new SharedWork<WorkloadState>();

  constructor(options: WorkloadTokensOptions) {
    this.#options = options;
    const { provider, workload } = options.chosen;
    this.#file = new WorkloadStateFile(options.home, [
      options.gateway,
      options.audience,
      provider.name,
      workload.scope,
    ]);
  }

  /** For people: where the login is kept. */
  get description(): string {
    return this.#file.description;
  }

  async current(signal: AbortSignal): Promise<Credential> {
    let state = this.#state ?? this.#file.read();
    if (state === undefined || !this.#isFresh(state.login)) {
      state = await this.#renew(undefined, signal);
    }
    this.#state = state;
    return toCredential(state);
  }

  async renewed(stale: string, signal: AbortSignal): Promise<Credential> {
    this.#state = await this.#renew(stale, signal);
    return toCredential(this.#state);
  }

  /**
   * Ends the login. The key stays: what the platform gave may be bound to it, and without the key
   * the job could not log in again.
   * @param end tells the gateway; when it fails, the login stays here as well
   * @returns false when there was no login
   */
  logout(
    end: (handle: string, key: DpopKey) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    return withStateLock(this.#file.lockPath, signal, async () => {
      const known = this.#file.read();
      if (known?.login === undefined || known.login.loginEndsAtMs <= this.#options.clock()) {
        return false;
      }
      await end(known.login.refreshToken, importDpopKey(known.key));
      this.#state = undefined;
      this.#file.write({ v: 1, key: known.key });
      return true;
    });
  }

  #isFresh(login: WorkloadLogin | undefined): boolean {
    const nowMs = this.#options.clock();
    return (
      login !== undefined &&
      login.expiresAtMs - nowMs >= MIN_REMAINING_MS &&
      login.loginEndsAtMs - nowMs >= MIN_LOGIN_MS
    );
  }

  /** One renewal at a time in this process; the lock sees to the others of the job. */
  async #renew(stale: string | undefined, signal: AbortSignal): Promise<WorkloadState> {
    const join = () =>
      this.#renewal.join(signal, (ofAll) =>
        withStateLock(this.#file.lockPath, ofAll, () => this.#renewLocked(stale, ofAll)),
      );
    const state = await join();
    // Whoever began it may not have known that the gateway refuses this one.
    return stale !== undefined && state.login?.accessToken === stale ? join() : state;
  }

  async #renewLocked(stale: string | undefined, signal: AbortSignal): Promise<WorkloadState> {
    const known = this.#file.read();
    const login = known?.login;
    const renewedByOthers =
      stale === undefined
        ? this.#isFresh(login)
        : login !== undefined && login.accessToken !== stale;
    if (known !== undefined && renewedByOthers) {
      return known;
    }
    const key = known === undefined ? generateDpopKey() : importDpopKey(known.key);
    if (known === undefined) {
      // Before the exchange: if its answer is lost, the token is bound to this key all the same.
      this.#file.write({ v: 1, key: exportDpopKey(key) });
    }
    const reply = await this.#nextTokens(login, key, signal);
    const nowMs = this.#options.clock();
    const state: WorkloadState = {
      v: 1,
      key: exportDpopKey(key),
      login: {
        accessToken: reply.access_token,
        expiresAtMs: nowMs + reply.expires_in * 1000,
        loginEndsAtMs: nowMs + (reply.login_expires_in ?? reply.expires_in) * 1000,
        refreshToken: reply.refresh_token,
      },
    };
    this.#file.write(state);
    return state;
  }

  async #nextTokens(
    login: WorkloadLogin | undefined,
    key: DpopKey,
    signal: AbortSignal,
  ): Promise<TokenReply> {
    const remainingMs = (login?.loginEndsAtMs ?? 0) - this.#options.clock();
    if (login === undefined || remainingMs <= 0) {
      return this.#exchange(key, signal);
    }
    const refresh = (): Promise<TokenReply> =>
      this.#options.refresh(login.refreshToken, key, signal);
    if (remainingMs >= MIN_LOGIN_MS) {
      try {
        return await refresh();
      } catch (error) {
        if (!isRefusal(error)) {
          throw error;
        }
        // Ended or no longer let in: the platform's token decides anew.
        return this.#exchange(key, signal);
      }
    }
    try {
      return await this.#exchange(key, signal);
    } catch (error) {
      if (signal.aborted || !isMissing(error)) {
        throw error;
      }
      // The platform gives no other token yet; the login is good for some minutes.
      return refresh();
    }
  }

  async #exchange(key: DpopKey, signal: AbortSignal): Promise<TokenReply> {
    const { chosen, audience, exchange } = this.#options;
    return exchange(await chosen.workload.fetchToken(audience, signal), key, signal);
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof HoopError &&
    (error.code.startsWith('HOOP_TOKEN_') || error.code.startsWith('HOOP_WORKLOAD_'))
  );
}

/** No token, or one that has run out, as that of a GitLab job does. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof HoopError &&
    (error.code === 'HOOP_WORKLOAD_TOKEN' ||
      error.code === 'HOOP_TOKEN_EXPIRED' ||
      error.code === 'HOOP_UNREACHABLE' ||
      error.code === 'HOOP_PROXY')
  );
}

function toCredential({ key, login }: WorkloadState): Credential {
  if (login === undefined) {
    throw new TypeError('a workload without a login');
  }
  return { accessToken: login.accessToken, key: importDpopKey(key) };
}
