/** Logins and their refresh handles: one handle is good at a time, an older one ends the login. */
import { randomBytes } from 'node:crypto';
import { HoopError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import type { IdentityStore, LoginEnd, RefreshFamily, RevokedLogins } from './identity-store.ts';
import { LOGIN_SECONDS, loginExpired, WORKLOAD_LOGIN_SECONDS } from './login-length.ts';
import type { RunOfLogin } from './run-of-login.ts';
import type { LoginClaims } from './tokens/login-claims.ts';
import { type RefreshHandle, RefreshHandles } from './tokens/refresh-handle.ts';
import { tokenError } from './tokens/token-error.ts';
import { type WorkloadClaims, workloadId } from './workload-login.ts';

/** Each is a row until the login ends. Far more than 20 at once, which is what people have. */
const MAX_RUNS_PER_PERSON = 1000;
/** Of these, before no run may start another one: a program that calls itself leaves some. */
const MAX_RUNS_BEFORE_NESTED = 800;
/** For a client that lost the reply with its next handle. */
const REFRESH_GRACE_MS = 30_000;

export interface LoginsOptions {
  /** MACs refresh handles. */
  readonly handleKey: Secret<Uint8Array>;
  readonly store: IdentityStore;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export interface CurrentLogin {
  readonly family: RefreshFamily;
  /** The one that is good from now on. */
  readonly refreshHandle: string;
}

/** Not a way back for an agent: whose run was ended shall not look for another login. */
const RUN_IS_OVER = 'The run is over; whoever started it can start a new one.';

/** @param why in words, kept with the login; absent: nobody can hold it, or it is not known */
export type RevokedListener = (family: string, why: string | undefined) => void;

export class Logins {
  readonly handles: RefreshHandles;
  readonly #options: LoginsOptions;
  readonly #listeners = new Set<RevokedListener>();

  constructor(options: LoginsOptions) {
    this.#options = options;
    this.handles = new RefreshHandles(options.handleKey);
  }

  /**
   * @param jkt thumbprint of the key that the client has proved to hold
   * @param maxTime seconds
   */
  async start(
    claims: LoginClaims,
    jkt: string,
    maxTime: number = LOGIN_SECONDS,
    from?: string,
  ): Promise<CurrentLogin> {
    const nowMs = this.#options.clock();
    const family: RefreshFamily = {
      id: randomBytes(16).toString('base64url'),
      issuer: claims.issuer,
      sub: claims.sub,
      jkt,
      generation: 0,
      rotatedAtMs: nowMs,
      createdAtMs: nowMs,
      expiresAtMs: nowMs + maxTime * 1000,
      claims: JSON.stringify(claims),
      revoked: false,
    };
    await this.#options.store.createFamily(family, from);
    return this.#current(family);
  }

  /**
   * A workload proves again and again that it still runs: each token makes its login last longer,
   * and the sessions and runs that hang on it go on.
   */
  async startOrExtend(claims: WorkloadClaims, jkt: string, from?: string): Promise<CurrentLogin> {
    const { clock, store } = this.#options;
    const nowMs = clock();
    const id = workloadId(claims);
    const text = JSON.stringify(claims);
    const expiresAtMs = nowMs + WORKLOAD_LOGIN_SECONDS * 1000;
    const extended = await store.extendFamily({ ...id, jkt }, { claims: text, expiresAtMs }, nowMs);
    if (extended !== undefined) {
      return this.#current(this.requireLive(extended));
    }
    const family: RefreshFamily = {
      id: randomBytes(16).toString('base64url'),
      ...id,
      jkt,
      generation: 0,
      rotatedAtMs: nowMs,
      createdAtMs: nowMs,
      expiresAtMs,
      claims: text,
      revoked: false,
    };
    await store.createFamily(family, from);
    return this.#current(family);
  }

  /**
   * A login that is made from another: it says the same of the person and ends with it.
   * @throws HoopError HOOP_TOKEN_REVOKED when that has ended meanwhile; HOOP_LIMIT
   */
  async startRun(
    parent: RefreshFamily,
    jkt: string,
    run: RunOfLogin,
    from?: string,
  ): Promise<CurrentLogin> {
    const { clock, store } = this.#options;
    const nowMs = clock();
    const { issuer, sub, claims, expiresAtMs } = this.requireLive(parent);
    const most = parent.run === undefined ? MAX_RUNS_PER_PERSON : MAX_RUNS_BEFORE_NESTED;
    if ((await store.countRuns({ issuer, sub }, nowMs)) >= most) {
      throw new HoopError('HOOP_LIMIT', 'too many active runs', {
        detail: `One person may have ${MAX_RUNS_PER_PERSON}, and runs may start others only up to ${MAX_RUNS_BEFORE_NESTED}. Runs of killed programs count until their login ends.`,
        hint: 'End one with `hoop runs kill ID`, or all of them with the login: `hoop logout`, then `hoop login`.',
      });
    }
    const family: RefreshFamily = {
      id: randomBytes(16).toString('base64url'),
      issuer,
      sub,
      jkt,
      generation: 0,
      rotatedAtMs: nowMs,
      createdAtMs: nowMs,
      expiresAtMs,
      claims,
      revoked: false,
      parent: parent.id,
      run: JSON.stringify(run),
    };
    if (!(await store.createFamily(family, from))) {
      this.requireLive(await store.readFamily(parent.id));
      throw loginEnded(undefined);
    }
    return this.#current(family);
  }

  /** @throws HoopError HOOP_TOKEN_REVOKED, HOOP_TOKEN_EXPIRED */
  requireLive(family: RefreshFamily | undefined): RefreshFamily {
    if (family === undefined || family.revoked) {
      throw loginEnded(family);
    }
    if (family.expiresAtMs <= this.#options.clock()) {
      throw loginExpired();
    }
    return family;
  }

  /** What its provider says of it now; also of the runs that were made from it. */
  async confirmed({ id, claims }: RefreshFamily): Promise<void> {
    await this.#options.store.confirmFamily(id, claims);
  }

  /** @throws HoopError HOOP_TOKEN_REPLAYED: the handle was used before, and the login is over now */
  async rotate(handle: RefreshHandle): Promise<CurrentLogin> {
    const { store, clock } = this.#options;
    const nowMs = clock();
    await store.advanceFamily(handle.family, handle.generation, nowMs);
    // Whoever moved it on, this request or another with the same handle, the store knows by now.
    const family = this.requireLive(await store.readFamily(handle.family));
    if (
      handle.generation === family.generation - 1 &&
      nowMs - family.rotatedAtMs <= REFRESH_GRACE_MS
    ) {
      return this.#current(family);
    }
    await this.revoke(
      { id: family.id },
      'two clients used the same login, so the gateway ended it',
      {
        how: 'reused',
      },
    );
    throw tokenError('HOOP_TOKEN_REPLAYED', 'the refresh handle has already been used', {
      detail: 'Two clients hold the same login, so it has been ended for both.',
    });
  }

  /** With the workload's tokens that have bought it: else the next one of these would undo it. */
  async revoke(which: RevokedLogins, why?: string, end?: LoginEnd): Promise<readonly string[]> {
    const { store } = this.#options;
    // The tokens first, so that there is no moment at which they could buy another.
    if (!('id' in which)) {
      await store.revokeTokens(which);
      return this.end(which, why, end);
    }
    const family = await store.readFamily(which.id);
    if (family !== undefined) {
      const { issuer, sub, jkt } = family;
      await store.revokeTokens({ issuer, sub, jkt });
    }
    return this.end(which, why, end);
  }

  /** @returns the logins that ended; each was also told to the listeners of `onRevoked` */
  async end(which: RevokedLogins, why?: string, end?: LoginEnd): Promise<readonly string[]> {
    const ended = await this.#options.store.revokeFamilies(which, why, end);
    for (const family of ended) {
      for (const listener of this.#listeners) {
        listener(family, why);
      }
    }
    return ended;
  }

  /** @returns a function that ends the subscription */
  onRevoked(listener: RevokedListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #current(family: RefreshFamily): CurrentLogin {
    const { id, generation } = family;
    return { family, refreshHandle: this.handles.encode({ family: id, generation }) };
  }
}

function loginEnded(family: RefreshFamily | undefined): HoopError {
  const why = family?.revokedBecause;
  return tokenError('HOOP_TOKEN_REVOKED', 'the login has ended', {
    detail: why === undefined ? 'It was revoked, or somebody logged out.' : sentence(why),
    ...(family?.run === undefined ? {} : { hint: RUN_IS_OVER }),
  });
}

function sentence(words: string): string {
  const text = `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
