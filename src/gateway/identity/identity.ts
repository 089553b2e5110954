/**
 * Who is calling the gateway. One ID token buys a login (`POST /v1/token`): a session token of
 * ten minutes and a refresh handle, both bound to a key that the client made and proves to hold
 * in each request (DPoP). Everything is refused that is not exactly that.
 *
 *   client                         gateway                     identity provider
 *     │  ID token + proof             │   keys (cached)               │
 *     ├──────── POST /v1/token ──────►├──────────────────────────────►│
 *     │◄── session token + handle 0 ──┤  token spent, login stored
 *     │  session token + proof        │
 *     ├──────── GET /v1/… ───────────►│  login still live? key right?
 *     │  handle n + proof             │
 *     ├──────── POST /v1/token ──────►│  n → n + 1, an older n ends the login
 *
 * A workload sends a token of its platform instead (workload-token.ts), and again before its login
 * ends.
 *
 * https://www.rfc-editor.org/rfc/rfc8693 (exchange), https://www.rfc-editor.org/rfc/rfc9449 (DPoP)
 */
import { API_VERSION } from '../../api/http.ts';
import type { TokenReply } from '../../api/login.ts';
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { eventParty } from '../events/event-party.ts';
import { type Block, meansPrincipal } from './block.ts';
import { type HttpReply, refusalReply } from './http-reply.ts';
import type { LoginEnd, RefreshFamily, RevokedLogins } from './identity-store.ts';
import { gatewayName, issueTokens } from './issue-tokens.ts';
import { Logins, type LoginsOptions, type RevokedListener } from './logins.ts';
import { newRun, type RunStart } from './new-run.ts';
import { ProviderLogouts } from './provider-logouts.ts';
import { readAuthorization } from './read-authorization.ts';
import { type RefusedLogin, refusedRefresh, refusedToken } from './refused-login.ts';
import { type RunOfLogin, readRun } from './run-of-login.ts';
import { runPrincipal, runRefused } from './run-rights.ts';
import { type LoginFacts, loginFacts } from './stored-login.ts';
import { TokenExchange, type TokenExchangeOptions } from './token-exchange.ts';
import { DpopNonces } from './tokens/dpop-nonce.ts';
import { type ProofRequest, spendDpopProof, verifyDpopProof } from './tokens/dpop-proof.ts';
import type { LoggedOut } from './tokens/logout-token.ts';
import { ProofReplays, type SpentProof } from './tokens/proof-replays.ts';
import { verifySessionToken } from './tokens/session-token.ts';
import { tokenError } from './tokens/token-error.ts';
import { optionalField, readForm, requireField } from './tokens/token-form.ts';

const GRANT_REFRESH = 'refresh_token';
const GRANT_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** The policy in all of it is the one in force. */
export interface IdentityOptions extends TokenExchangeOptions, Pick<LoginsOptions, 'handleKey'> {
  /** With its agent, if the policy says that the login is one. */
  readonly withOwnAgent?: (principal: Principal) => Principal;
  /** A login was refused, or was not renewed. */
  readonly onRefused?: (error: HoopError, login: RefusedLogin) => void;
  /**
   * A person has logged in, or their login was renewed.
   * @param made the login, when it is a new one
   */
  readonly onLoggedIn?: (principal: Principal, made?: Pick<LoginFacts, 'missingGroups'>) => void;
  /** A provider has logged somebody out, and so many logins have ended by it. */
  readonly onLoggedOut?: (who: LoggedOut, logins: number) => void;
  /** A logout of a provider was refused. */
  readonly onLogoutRefused?: (error: HoopError, login: RefusedLogin) => void;
  /** @throws HOOP_ACCESS_BLOCKED when this principal is kept out. */
  readonly requireUnblocked?: (principal: Principal) => void;
}

export interface IdentityRequest {
  readonly method: string;
  /** URL or path; the query is ignored. */
  readonly url: string;
  readonly authorization?: string | undefined;
  readonly dpop?: string | undefined;
  /** Address that it comes from, for the log. */
  readonly from?: string | undefined;
}

export interface Authenticated extends LoginFacts {
  /** Id of the login; `onRevoked` names it. */
  readonly family: string;
  readonly jkt: string;
  /** End of the session token. The login may be renewed until `endsAtMs`. */
  readonly expiresAtMs: number;
  /** Address that the request comes from. */
  readonly from?: string;
  /** The login is that of a run; `principal` has its agent and no roles. */
  readonly run?: RunOfLogin;
}

const LOGGED_OUT = 'the person logged out (`hoop logout`)';
/** By the run itself, at its end. */
const RUN_ENDED = 'the run has ended';

/** What a login is worth at this moment. */
export interface LoginStanding
  extends Pick<LoginFacts, 'principal' | 'freshUntilMs' | 'endsAtMs' | 'endsSessions'> {
  readonly run?: RunOfLogin;
}

export interface StartedRun {
  readonly run: RunOfLogin;
  readonly token: TokenReply;
  /** Who the run acts as. */
  readonly who: Authenticated;
}

/** A run whose login has not ended. */
export interface LiveRun {
  readonly family: string;
  readonly principal: Principal;
  readonly run: RunOfLogin;
  readonly startedAtMs: number;
  readonly endsAtMs: number;
}

/** A login that has not ended. */
export interface KnownLogin {
  readonly family: string;
  readonly principal: Principal;
}

export class Identity {
  readonly #options: IdentityOptions;
  readonly #exchange: TokenExchange;
  readonly #nonces: DpopNonces;
  readonly #replays = new ProofReplays();
  readonly #logins: Logins;
  readonly #providerLogouts: ProviderLogouts;
  readonly #confirmedListeners = new Set<(family: string) => void>();

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#nonces = new DpopNonces(options.clock);
    this.#logins = new Logins(options);
    this.#exchange = new TokenExchange(options, this.#logins);
    this.#providerLogouts = new ProviderLogouts({
      store: options.store,
      clock: options.clock,
      verify: (token) => this.#exchange.logoutToken(token),
      end: (id, why) => this.#logins.end({ id }, why, { how: 'provider' }),
      onEnded: options.onLoggedOut,
      onRefused: (error, token, from) =>
        options.onLogoutRefused?.(error, {
          ...refusedToken(token, error.code),
          ...(from === undefined ? {} : { from }),
        }),
    });
  }

  /** `POST /v1/token`: an ID token, or a refresh handle, for a session token. */
  async token(request: IdentityRequest & { readonly body: string }): Promise<HttpReply> {
    return this.#answer(async () => {
      const form = readForm(request.body);
      const grant = requireField(form, 'grant_type');
      try {
        if (grant === GRANT_EXCHANGE) {
          const login = await this.#exchange.login(form, {
            verify: () => this.#verifyProof(request, { accessToken: undefined, jkt: undefined }),
            spend: (proof) => this.#spendProof(proof),
            from: request.from,
          });
          const made = await this.#letIn(login.family);
          this.#options.onLoggedIn?.(made.principal, made);
          return (await issueTokens(login, this.#options)).reply;
        }
        if (grant === GRANT_REFRESH) {
          return await this.#refresh(request, form);
        }
      } catch (error) {
        await this.#tellRefused(error, form, request.from);
        throw error;
      }
      throw new HoopError('HOOP_USAGE', 'the gateway does not know this grant type');
    });
  }

  /** `POST /v1/logout`: ends the login that a refresh handle belongs to, or all of its person's. */
  async logout(request: IdentityRequest & { readonly body: string }): Promise<HttpReply> {
    return this.#answer(async () => {
      const form = readForm(request.body);
      const handle = this.#logins.handles.decode(requireField(form, 'token'));
      const family = await this.#options.store.readFamily(handle.family);
      const proof = await this.#verifyProof(request, { accessToken: undefined, jkt: family?.jkt });
      if (family === undefined) {
        return { v: API_VERSION, ended: 0 };
      }
      this.#spendProof(proof);
      const isAll = form.get('all') === 'true';
      if (isAll && family.run !== undefined) {
        throw runRefused('end other logins of the person');
      }
      const ended = isAll
        ? await this.revoke({ issuer: family.issuer, sub: family.sub }, LOGGED_OUT, {
            how: 'logout',
            from: request.from,
          })
        : // A job that ends its own login may go on with its token: its next command logs in.
          await this.#logins.end(
            { id: family.id },
            family.run === undefined ? LOGGED_OUT : RUN_ENDED,
            { how: family.run === undefined ? 'logout' : 'ended', from: request.from },
          );
      return { v: API_VERSION, ended: ended.length };
    });
  }

  /** `POST /v1/backchannel-logout`: a provider says that somebody is logged out there. */
  providerLogout(body: string, from?: string): Promise<HttpReply> {
    return this.#providerLogouts.receive(body, from);
  }

  /** For every other route, upgrades included. @throws HoopError; see `refusal` */
  async authenticate(request: IdentityRequest): Promise<Authenticated> {
    const { store, signingKey, clock, origins } = this.#options;
    const token = readAuthorization(request.authorization);
    const claims = await verifySessionToken(token, {
      signingKey,
      audience: gatewayName(origins()),
      nowMs: clock(),
    });
    const proof = await this.#verifyProof(request, { accessToken: token, jkt: claims.cnf.jkt });
    const family = this.#requireLive(await store.readFamily(claims.sid));
    const who = this.#holderOf(family, claims.cnf.jkt, claims.exp);
    this.#spendProof(proof);
    return request.from === undefined ? who : { ...who, from: request.from };
  }

  /** @throws HoopError HOOP_TOKEN_ISSUER, HOOP_WORKLOAD_…, HOOP_ACCESS_BLOCKED */
  #principalOf(family: RefreshFamily): LoginFacts & Pick<Authenticated, 'run'> {
    const facts = this.#factsOf(family);
    this.#options.requireUnblocked?.(facts.principal);
    return facts;
  }

  #factsOf(family: RefreshFamily): LoginFacts & Pick<Authenticated, 'run'> {
    const { principal: claimed, ...login } = loginFacts(family, this.#options);
    const run = readRun(family);
    const someone = { ...claimed, loginKey: run?.loginKey ?? family.jkt };
    const whole = this.#options.withOwnAgent?.(someone) ?? someone;
    const principal = run === undefined ? whole : runPrincipal(whole, run);
    return { ...login, principal, ...(run === undefined ? {} : { run }) };
  }

  /** A block has ended the login as well: the block is what its holder should hear of. */
  #requireLive(family: RefreshFamily | undefined): RefreshFamily {
    if (family?.revoked === true) {
      this.#principalOf(family);
    }
    return this.#logins.requireLive(family);
  }

  /**
   * The login exists by then, and nobody has its handle.
   * @throws HOOP_ACCESS_BLOCKED, HOOP_TOKEN_REVOKED
   */
  async #letIn(family: RefreshFamily): Promise<Pick<LoginFacts, 'principal' | 'missingGroups'>> {
    try {
      const login = this.#principalOf(family);
      await this.#providerLogouts.refuse(family);
      return login;
    } catch (error) {
      await this.#logins.end({ id: family.id }, undefined, { how: 'refused' });
      throw error;
    }
  }

  /** Runs whose logins have not ended, as far as the policy in force lets their people in. */
  async runs(): Promise<readonly LiveRun[]> {
    const families = await this.#options.store.liveFamilies(this.#options.clock());
    return families.flatMap((family) => {
      if (family.run === undefined) return [];
      try {
        const { principal, run, endsAtMs } = this.#principalOf(family);
        const { id, createdAtMs: startedAtMs } = family;
        return run === undefined ? [] : [{ family: id, principal, run, startedAtMs, endsAtMs }];
      } catch {
        return [];
      }
    });
  }

  /** With all that was started in it. @param why is told in its sessions */
  async endRun(family: string, why: string, by: Principal): Promise<number> {
    const end = { how: 'killed', by: eventParty(by) } as const;
    return (await this.#logins.end({ id: family }, why, end)).length;
  }

  /** Who is logged in, runs included, as far as the policy in force lets them in. */
  async principals(): Promise<readonly KnownLogin[]> {
    return this.#loginsAs((family) => this.#principalOf(family));
  }

  /** Whose logins still have to end: they are refused. */
  async blockedPrincipals(block: Block): Promise<readonly KnownLogin[]> {
    const logins = await this.#loginsAs((family) => this.#factsOf(family));
    return logins.filter(({ principal }) => meansPrincipal(block, principal));
  }

  async #loginsAs(read: (family: RefreshFamily) => LoginFacts): Promise<readonly KnownLogin[]> {
    const families = await this.#options.store.liveFamilies(this.#options.clock());
    return families.flatMap((family) => {
      try {
        return [{ family: family.id, principal: read(family).principal }];
      } catch {
        return [];
      }
    });
  }

  /** @param exp end of the session token, in seconds since 1970 */
  #holderOf(family: RefreshFamily, jkt: string, exp: number): Authenticated {
    return {
      ...this.#principalOf(family),
      family: family.id,
      jkt,
      expiresAtMs: exp * 1000,
    };
  }

  /**
   * Again, for what is done long after the request began, such as a session: its login may have
   * ended, its provider left the policy, its person other groups.
   * @throws HoopError HOOP_TOKEN_REVOKED, HOOP_TOKEN_EXPIRED, HOOP_TOKEN_ISSUER, HOOP_TOKEN_STALE,
   * HOOP_WORKLOAD_…, HOOP_ACCESS_BLOCKED
   */
  async requireLive({ family }: Pick<Authenticated, 'family'>): Promise<LoginStanding> {
    return this.#principalOf(this.#requireLive(await this.#options.store.readFamily(family)));
  }

  /** @returns the reply for an error of `authenticate`; undefined: it is not about identity */
  refusal(error: unknown): HttpReply | undefined {
    return refusalReply(error, this.#nonces.issue());
  }

  /** For `InfoReply.loginNonce`. */
  loginNonce(): string {
    return this.#exchange.loginNonce();
  }

  /** Sent as `DPoP-Nonce` with every reply, it saves clients a round trip (RFC 9449 §8.2). */
  nonceHeader(): string {
    return this.#nonces.issue();
  }

  /**
   * A login for a run, made from the one of `request`, which `who` came from. The run's key proves
   * itself for this request and this token, so that nobody can have a login bound to another's key.
   * @throws HoopError HOOP_PROOF_…, HOOP_TOKEN_REVOKED, HOOP_LIMIT, HOOP_RUN_REFUSED
   */
  async startRun(
    request: IdentityRequest,
    who: Authenticated,
    start: RunStart,
  ): Promise<StartedRun> {
    const { store, clock } = this.#options;
    if (start.jkt === who.jkt) {
      throw tokenError('HOOP_PROOF_KEY', 'a run needs a key of its own');
    }
    const run = newRun(who, start, clock());
    const proof = await this.#verifyProof(
      { ...request, dpop: start.proof },
      { accessToken: readAuthorization(request.authorization), jkt: start.jkt },
    );
    const parent = this.#logins.requireLive(await store.readFamily(who.family));
    this.#spendProof(proof);
    const login = await this.#logins.startRun(parent, proof.jkt, run, request.from);
    const { family } = login;
    try {
      const { exp, reply } = await issueTokens(login, this.#options);
      return { run, token: reply, who: this.#holderOf(family, family.jkt, exp) };
    } catch (error) {
      // The policy may have changed meanwhile. Nobody else could end it: its handle was not sent.
      await this.#logins.end({ id: family.id }, undefined, { how: 'refused' });
      throw error;
    }
  }

  /**
   * For good: a workload comes back with its platform's next token at the earliest.
   * @returns the logins that ended; each was also told to the listeners of `onRevoked`
   */
  revoke(which: RevokedLogins, why?: string, end?: LoginEnd): Promise<readonly string[]> {
    return this.#logins.revoke(which, why, end);
  }

  /** @returns a function that ends the subscription */
  onRevoked(listener: RevokedListener): () => void {
    return this.#logins.onRevoked(listener);
  }

  /** The provider has confirmed a login, and may say something else of its person now. */
  onConfirmed(listener: (family: string) => void): void {
    this.#confirmedListeners.add(listener);
  }

  async #refresh(request: IdentityRequest, form: URLSearchParams): Promise<TokenReply> {
    const handle = this.#logins.handles.decode(requireField(form, 'refresh_token'));
    const family = await this.#options.store.readFamily(handle.family);
    const proof = await this.#verifyProof(request, { accessToken: undefined, jkt: family?.jkt });
    const live = this.#requireLive(family);
    const idToken = optionalField(form, 'id_token');
    if (idToken !== undefined && live.run !== undefined) {
      throw runRefused('confirm the login of its person');
    }
    const now = idToken === undefined ? live : await this.#exchange.confirm(idToken, live);
    const { principal, run } = this.#principalOf(now);
    this.#spendProof(proof);
    const login = await this.#logins.rotate(handle);
    if (run === undefined) {
      this.#options.onLoggedIn?.(principal);
    }
    if (now !== live) {
      await this.#logins.confirmed(now);
      for (const listener of this.#confirmedListeners) {
        listener(now.id);
      }
    }
    const renewed = { ...login, family: { ...login.family, claims: now.claims } };
    return (await issueTokens(renewed, this.#options)).reply;
  }

  async #tellRefused(
    error: unknown,
    form: URLSearchParams,
    from: string | undefined,
  ): Promise<void> {
    const { onRefused, store } = this.#options;
    // A client whose nonce is too old comes again with the one of the answer.
    if (!(error instanceof HoopError) || error.code === 'HOOP_PROOF_NONCE') {
      return;
    }
    const isRefresh = form.get('grant_type') === GRANT_REFRESH;
    const handle = isRefresh ? form.get('refresh_token') : null;
    const id = this.#logins.handles.familyOf(handle ?? '');
    const family = id === undefined ? undefined : await store.readFamily(id);
    const login =
      family === undefined
        ? // Nobody has looked at a token that came with a handle.
          refusedToken(isRefresh ? null : form.get('subject_token'), error.code)
        : refusedRefresh(family);
    onRefused?.(error, { ...login, ...(from === undefined ? {} : { from }) });
  }

  #verifyProof(
    request: IdentityRequest,
    bound: Pick<ProofRequest, 'accessToken' | 'jkt'>,
  ): Promise<SpentProof> {
    return verifyDpopProof(
      { method: request.method, url: request.url, proof: request.dpop, ...bound },
      {
        origins: this.#options.origins(),
        nonces: this.#nonces,
        nowMs: this.#options.clock(),
      },
    );
  }

  #spendProof(proof: SpentProof): void {
    spendDpopProof(proof, this.#replays, this.#options.clock());
  }

  async #answer(act: () => Promise<unknown>): Promise<HttpReply> {
    try {
      const body = await act();
      return {
        status: 200,
        headers: { 'cache-control': 'no-store', 'dpop-nonce': this.#nonces.issue() },
        body,
      };
    } catch (error) {
      const reply = this.refusal(error);
      if (reply === undefined) {
        throw error;
      }
      return reply;
    }
  }
}
