/**
 * OpenID Connect Back-Channel Logout: the identity provider says that somebody is logged out there,
 * and their logins here end at once, with their sessions and runs. Whoever cannot prove to be the
 * provider ends nothing.
 * https://openid.net/specs/openid-connect-backchannel-1_0.html
 */
import { HoopError } from '../../errors.ts';
import { isStoreFault } from '../store/store-watch.ts';
import type { HttpReply } from './http-reply.ts';
import type { IdentityStore, RefreshFamily } from './identity-store.ts';
import { splitJwt } from './tokens/jwt-parts.ts';
import { LoginClaims } from './tokens/login-claims.ts';
import type { LoggedOut, VerifiedLogoutToken } from './tokens/logout-token.ts';
import { tokenError } from './tokens/token-error.ts';
import { readForm, requireField } from './tokens/token-form.ts';

/** One token. */
export const MAX_LOGOUT_FORM_LENGTH = 32 * 1024;
/**
 * Of one issuer, from one address. The issuer is what the token says before anything of it is
 * checked: a flood of forged ones, or a provider whose keys cannot be read, holds up the logouts of
 * no other, nor those that the provider itself sends from elsewhere.
 */
const MAX_WAITING = 100;
/** Of all: 64 MB. */
const MAX_WAITING_OF_ALL = 2_000;
/** As long as an ID token from before may still come, and a little longer. */
const REMEMBERED_MS = 15 * 60_000;
const WHY = 'the identity provider has ended the login';

export interface ProviderLogoutsOptions {
  readonly store: IdentityStore;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly verify: (token: string) => Promise<VerifiedLogoutToken>;
  /** Ends a login, with all that was made from it. @returns the logins that ended */
  readonly end: (family: string, why: string) => Promise<readonly string[]>;
  readonly onEnded: ((who: LoggedOut, logins: number) => void) | undefined;
  readonly onRefused:
    | ((error: HoopError, token: string | null, from: string | undefined) => void)
    | undefined;
}

export class ProviderLogouts {
  readonly #options: ProviderLogoutsOptions;
  #last: Promise<unknown> = Promise.resolve();
  /** By issuer and address. */
  readonly #waiting = new Map<string, number>();
  #waitingOfAll = 0;

  constructor(options: ProviderLogoutsOptions) {
    this.#options = options;
  }

  /** `POST /v1/backchannel-logout` */
  async receive(body: string, from?: string): Promise<HttpReply> {
    const form = readForm(body);
    try {
      const token = requireField(form, 'logout_token');
      using _ = this.#place(splitJwt(token, 'logout token').claims['iss'], from);
      const said = await this.#options.verify(token);
      // One after the other: of two that are the same one is spent.
      const mine = this.#last.then(() => this.#receive(said));
      this.#last = mine.catch(() => undefined);
      await mine;
      return { status: 200, headers: { 'cache-control': 'no-store' }, body: {} };
    } catch (error) {
      // Of the store: the logout was not refused, and its provider may send it again.
      if (!(error instanceof HoopError) || isStoreFault(error)) {
        throw error;
      }
      this.#options.onRefused?.(error, form.get('logout_token'), from);
      return {
        // §2.8; not the text of our own errors, which have advice for people.
        status: error.code === 'HOOP_LIMIT' ? 503 : 400,
        headers: { 'cache-control': 'no-store' },
        body: { error: 'invalid_request', error_description: error.message },
      };
    }
  }

  /** @throws HoopError HOOP_TOKEN_REVOKED when the provider has ended what this login rests on */
  async refuse(family: RefreshFamily): Promise<void> {
    const login = LoginClaims.safeParse(JSON.parse(family.claims));
    if (!login.success) {
      return;
    }
    const { issuer, sub, sid, freshAt = 0 } = login.data;
    const said = await this.#options.store.providerLogouts(issuer, this.#options.clock());
    const isOut = said.some((one) => means(one, { sub, sid }) && freshAt <= one.issuedAt);
    if (isOut) {
      throw tokenError('HOOP_TOKEN_REVOKED', WHY, {
        detail: 'This person was logged out there after the ID token was issued.',
      });
    }
  }

  /** @throws HoopError HOOP_LIMIT */
  #place(claimed: unknown, from: string | undefined): Disposable {
    const place = JSON.stringify([claimed, from]);
    const waiting = this.#waiting.get(place) ?? 0;
    if (waiting >= MAX_WAITING || this.#waitingOfAll >= MAX_WAITING_OF_ALL) {
      throw new HoopError('HOOP_LIMIT', 'too many logouts are waiting');
    }
    this.#waiting.set(place, waiting + 1);
    this.#waitingOfAll += 1;
    return {
      [Symbol.dispose]: () => {
        const left = (this.#waiting.get(place) ?? 1) - 1;
        this.#waitingOfAll -= 1;
        if (left > 0) this.#waiting.set(place, left);
        else this.#waiting.delete(place);
      },
    };
  }

  async #receive(said: VerifiedLogoutToken): Promise<void> {
    const { store, clock, end, onEnded } = this.#options;
    const { issuer, sub, sid, issuedAt } = said;
    if (!(await store.spendOnce(said.digest, said.refusedAfterMs))) {
      throw tokenError('HOOP_TOKEN_REPLAYED', 'the logout token has already been used');
    }
    // Before the logins are read: one that begins meanwhile finds this, or is found here.
    const who = { issuer, sub, sid };
    await store.addProviderLogout({ ...who, issuedAt }, clock() + REMEMBERED_MS);
    let ended = 0;
    for (const { id, claims } of await store.liveFamilies(clock())) {
      const login = LoginClaims.safeParse(JSON.parse(claims));
      if (login.success && login.data.issuer === issuer && means(who, login.data)) {
        ended += (await end(id, WHY)).length;
      }
    }
    onEnded?.(who, ended);
  }
}

/** A login that does not know its session there is one of those that may be meant. */
function means(
  said: Pick<LoggedOut, 'sub' | 'sid'>,
  login: { readonly sub: string; readonly sid?: string | undefined },
): boolean {
  const isPerson = said.sub === undefined || said.sub === login.sub;
  const isSession =
    said.sid === undefined ||
    said.sid === login.sid ||
    (login.sid === undefined && said.sub !== undefined);
  return isPerson && isSession;
}
