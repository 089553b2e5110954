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
import { createHash, type KeyObject, randomBytes } from 'node:crypto';
import { HoopError } from '../../errors.ts';
import { requesterClaim } from '../../policy/actor-name.ts';
import type { Principal } from '../../policy/types.ts';
import type { WorkloadMatch } from '../../policy/workloads/match-workload.ts';
import type { WorkloadRule } from '../../policy/workloads/workload-rule.ts';
import { newSessionId } from '../../recording/session-id.ts';
import { API_VERSION, type RunReply, type TokenReply, type WhoamiReply } from '../../tunnel/api.ts';
import { DpopNonces } from './dpop-nonce.ts';
import { type ProofRequest, spendDpopProof, verifyDpopProof } from './dpop-proof.ts';
import { type HttpReply, refusalReply } from './http-reply.ts';
import { verifyIdToken } from './id-token.ts';
import { clientOf, type IdentityProvider } from './identity-provider.ts';
import type { IdentityStore, RefreshFamily, RevokedLogins } from './identity-store.ts';
import { JwksCache } from './jwks-cache.ts';
import { LoginClaims, toPrincipal } from './login-claims.ts';
import { type CurrentLogin, Logins } from './logins.ts';
import { ProofReplays, type SpentProof } from './proof-replays.ts';
import { type RunOfLogin, readRun } from './run-of-login.ts';
import { runPrincipal, runRefused, shownRun } from './run-rights.ts';
import { issueSessionToken, SESSION_TOKEN_SECONDS, verifySessionToken } from './session-token.ts';
import { tokenError } from './token-error.ts';
import { readForm, requireField } from './token-form.ts';
import {
  admitWorkload,
  shownWorkload,
  WorkloadClaims,
  type WorkloadPolicy,
  workloadId,
} from './workload-login.ts';
import { asWorkloadError, verifyWorkloadToken } from './workload-token.ts';

const GRANT_REFRESH = 'refresh_token';
const GRANT_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TYPE_ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
/** RFC 8693 §3: any JWT; here the token of a workload's platform. */
const TYPE_JWT = 'urn:ietf:params:oauth:token-type:jwt';
const TYPE_ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

export interface IdentityOptions {
  /** Base URLs under which clients may call this gateway. The first is its name in tokens. */
  readonly origins: () => readonly string[];
  /** From the policy in force. */
  readonly providers: () => readonly IdentityProvider[];
  /** Role → groups that give it. */
  readonly roles: () => Readonly<Record<string, readonly string[]>>;
  /** With its agent, if the policy in force says that the login is one. */
  readonly withOwnAgent?: (principal: Principal) => Principal;
  /** Ed25519, private. */
  readonly signingKey: KeyObject;
  readonly store: IdentityStore;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly fetch?: typeof fetch;
  /** From the policy in force. Default: no workload logs in. */
  readonly workloads?: () => readonly WorkloadRule[];
}

export interface IdentityRequest {
  readonly method: string;
  /** URL or path; the query is ignored. */
  readonly url: string;
  readonly authorization?: string | undefined;
  readonly dpop?: string | undefined;
}

export interface Authenticated {
  readonly principal: Principal;
  /** Id of the login; `onRevoked` names it. */
  readonly family: string;
  readonly jkt: string;
  /** What the token was made out to: our client id at the identity provider. */
  readonly audience: string;
  /** Seconds. */
  readonly authTime: number;
  /** hex */
  readonly claimsSha256: string;
  /** End of the session token. The login may be renewed until `loginExpiresAtMs`. */
  readonly expiresAtMs: number;
  readonly loginExpiresAtMs: number;
  /** How the entries of the policy see a workload. */
  readonly matches?: readonly WorkloadMatch[];
  /** The login is that of a run; `principal` has its agent and no roles. */
  readonly run?: RunOfLogin;
}

type LoginFacts = Pick<
  Authenticated,
  'principal' | 'audience' | 'authTime' | 'claimsSha256' | 'matches'
>;

/** What a run is asked for with; what it says of agent and reason was checked by the caller. */
export interface RunStart {
  /** Of the run's own key. */
  readonly jkt: string;
  readonly proof: string;
  readonly agent: string | undefined;
  readonly reason: string | undefined;
}

/** A run within a run within a run is plausible; a hundred are a program that calls itself. */
const MAX_RUN_DEPTH = 16;

export class Identity {
  readonly #options: IdentityOptions;
  readonly #keys: JwksCache;
  readonly #nonces: DpopNonces;
  readonly #replays = new ProofReplays();
  readonly #logins: Logins;

  constructor(options: IdentityOptions) {
    this.#options = options;
    this.#keys = new JwksCache({ clock: options.clock, fetch: options.fetch ?? fetch });
    this.#nonces = new DpopNonces(options.clock);
    this.#logins = new Logins(options);
  }

  /** `POST /v1/token`: an ID token, or a refresh handle, for a session token. */
  async token(request: IdentityRequest & { readonly body: string }): Promise<HttpReply> {
    return this.#answer(async () => {
      const form = readForm(request.body);
      const grant = requireField(form, 'grant_type');
      if (grant === GRANT_EXCHANGE) {
        return this.#exchange(request, form);
      }
      if (grant === GRANT_REFRESH) {
        return this.#refresh(request, form);
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
        ? await this.revoke({ issuer: family.issuer, sub: family.sub })
        : // A job that ends its own login may go on with its token: its next command logs in.
          await this.#logins.end({ id: family.id });
      return { v: API_VERSION, ended: ended.length };
    });
  }

  /** For every other route, upgrades included. @throws HoopError; see `refusal` */
  async authenticate(request: IdentityRequest): Promise<Authenticated> {
    const { store, signingKey, clock } = this.#options;
    const token = readAuthorization(request.authorization);
    const claims = await verifySessionToken(token, {
      signingKey,
      audience: this.#name(),
      nowMs: clock(),
    });
    const proof = await this.#verifyProof(request, { accessToken: token, jkt: claims.cnf.jkt });
    const family = this.#logins.requireLive(await store.readFamily(claims.sid));
    const { principal: someone, ...login } = this.#loginOf(family);
    const run = readRun(family);
    this.#spendProof(proof);
    const principal = this.#options.withOwnAgent?.(someone) ?? someone;
    return {
      principal: run === undefined ? principal : runPrincipal(principal, run),
      ...(run === undefined ? {} : { run }),
      family: family.id,
      jkt: claims.cnf.jkt,
      ...login,
      expiresAtMs: claims.exp * 1000,
      loginExpiresAtMs: family.expiresAtMs,
    };
  }

  /**
   * Again, for what is done long after the request began: its body may come a minute later.
   * @throws HoopError HOOP_TOKEN_REVOKED, HOOP_TOKEN_EXPIRED
   */
  async requireLive({ family }: Pick<Authenticated, 'family'>): Promise<void> {
    this.#logins.requireLive(await this.#options.store.readFamily(family));
  }

  /** @returns the reply for an error of `authenticate`; undefined: it is not about identity */
  refusal(error: unknown): HttpReply | undefined {
    return refusalReply(error, this.#nonces.issue());
  }

  /** Sent as `DPoP-Nonce` with every reply, it saves clients a round trip (RFC 9449 §8.2). */
  nonceHeader(): string {
    return this.#nonces.issue();
  }

  whoami(who: Authenticated): WhoamiReply {
    const { kind, issuer, sub, name, email, groups, roles } = who.principal;
    const { agent, isAgent, requester, viaDevice } = who.principal;
    const { run, matches } = who;
    return {
      v: API_VERSION,
      kind,
      issuer,
      sub,
      name,
      ...(email === undefined ? {} : { email }),
      groups: [...groups],
      roles: [...roles],
      ...(agent === undefined ? {} : { agent }),
      ...(isAgent === true ? { isAgent } : {}),
      ...requesterClaim(requester),
      ...(run === undefined ? {} : { run: shownRun(run) }),
      ...(viaDevice === true ? { viaDevice } : {}),
      ...(matches === undefined ? {} : { workload: shownWorkload(matches) }),
      expiresAt: new Date(who.loginExpiresAtMs).toISOString(),
    };
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
  ): Promise<Omit<RunReply, 'v'>> {
    const { store, clock } = this.#options;
    if (start.jkt === who.jkt) {
      throw tokenError('HOOP_PROOF_KEY', 'a run needs a key of its own');
    }
    const depth = (who.run?.depth ?? 0) + 1;
    if (depth > MAX_RUN_DEPTH) {
      throw new HoopError('HOOP_LIMIT', `runs are nested more than ${MAX_RUN_DEPTH} deep`);
    }
    const proof = await this.#verifyProof(
      { ...request, dpop: start.proof },
      { accessToken: readAuthorization(request.authorization), jkt: start.jkt },
    );
    const parent = this.#logins.requireLive(await store.readFamily(who.family));
    this.#spendProof(proof);
    const { agent, reason } = start;
    const run: RunOfLogin = {
      id: newSessionId(clock(), randomBytes(16)),
      ...(who.run === undefined ? {} : { parent: who.run.id }),
      login: who.run === undefined ? who.family : who.run.login,
      ...(agent === undefined ? {} : { agent }),
      ...(reason === undefined ? {} : { reason }),
      depth,
    };
    const login = await this.#logins.startRun(parent, proof.jkt, run);
    return {
      run: run.id,
      ...(run.parent === undefined ? {} : { parent: run.parent }),
      ...(agent === undefined ? {} : { agent }),
      token: await this.#tokens(login),
      expiresAt: new Date(login.family.expiresAtMs).toISOString(),
    };
  }

  /**
   * For good: a workload comes back with its platform's next token at the earliest.
   * @returns the logins that ended; each was also told to the listeners of `onRevoked`
   */
  revoke(which: RevokedLogins): Promise<readonly string[]> {
    return this.#logins.revoke(which);
  }

  /** @returns a function that ends the subscription */
  onRevoked(listener: (family: string) => void): () => void {
    return this.#logins.onRevoked(listener);
  }

  async #exchange(request: IdentityRequest, form: URLSearchParams): Promise<TokenReply> {
    const type = requireField(form, 'subject_token_type');
    if (type === TYPE_JWT) {
      return this.#exchangeWorkload(request, requireField(form, 'subject_token'));
    }
    if (type !== TYPE_ID_TOKEN) {
      throw tokenError('HOOP_TOKEN_TYPE', 'the token is not an ID token', {
        detail:
          'Access tokens are addressed to others; this gateway exchanges ID tokens, and JWTs of workloads.',
      });
    }
    const idToken = requireField(form, 'subject_token');
    // The proof first: a client that must come again for a nonce has not spent its token.
    const proof = await this.#verifyProof(request, { accessToken: undefined, jkt: undefined });
    const { claims, refusedAfterMs } = await verifyIdToken(idToken, {
      providers: this.#options.providers(),
      keys: this.#keys,
      nowMs: this.#options.clock(),
    });
    this.#spendProof(proof);
    if (!(await this.#options.store.spendOnce(signedDigest(idToken), refusedAfterMs))) {
      throw tokenError('HOOP_TOKEN_REPLAYED', 'the ID token was used before', {
        detail: 'Each ID token buys one login. If this was not you, somebody holds a copy of it.',
      });
    }
    return this.#tokens(await this.#logins.start(claims, proof.jkt));
  }

  /** The same token again works with the same key only, as often as it likes: GitLab has one for a job. */
  async #exchangeWorkload(request: IdentityRequest, token: string): Promise<TokenReply> {
    const proof = await this.#verifyProof(request, { accessToken: undefined, jkt: undefined });
    const { claims, refusedAfterMs } = await verifyWorkloadToken(token, {
      rules: this.#options.workloads?.() ?? [],
      keys: this.#keys,
      nowMs: this.#options.clock(),
    }).catch((error: unknown) => {
      throw asWorkloadError(error);
    });
    admitWorkload(claims, this.#workloadPolicy());
    this.#spendProof(proof);
    const bound = await this.#options.store.bindToken({
      digest: signedDigest(token),
      ...workloadId(claims),
      jkt: proof.jkt,
      expiresAtMs: refusedAfterMs,
    });
    if (bound.jkt !== proof.jkt) {
      throw tokenError('HOOP_TOKEN_BOUND', 'the workload token belongs to another key', {
        detail:
          'Somebody has exchanged it before with a key of their own. If that was not this job, the token was stolen.',
        hint: 'Processes that share one token must share HOOP_HOME, where the key is kept.',
      });
    }
    if (bound.revoked) {
      throw tokenError('HOOP_TOKEN_REVOKED', 'the workload token has ended with its login', {
        detail: 'The login was revoked, and the tokens that it came from make no other.',
        hint: 'A new token of the platform logs in again, as far as the policy lets it in.',
      });
    }
    return this.#tokens(await this.#logins.startOrExtend(claims, proof.jkt));
  }

  async #refresh(request: IdentityRequest, form: URLSearchParams): Promise<TokenReply> {
    const handle = this.#logins.handles.decode(requireField(form, 'refresh_token'));
    const family = await this.#options.store.readFamily(handle.family);
    const proof = await this.#verifyProof(request, { accessToken: undefined, jkt: family?.jkt });
    this.#loginOf(this.#logins.requireLive(family));
    this.#spendProof(proof);
    return this.#tokens(await this.#logins.rotate(handle));
  }

  async #tokens(login: CurrentLogin): Promise<TokenReply> {
    const { family, refreshHandle } = login;
    const now = Math.floor(this.#options.clock() / 1000);
    const name = this.#name();
    // Never beyond the login.
    const exp = Math.min(now + SESSION_TOKEN_SECONDS, Math.floor(family.expiresAtMs / 1000));
    const accessToken = await issueSessionToken(
      {
        iss: name,
        aud: name,
        sub: family.sub,
        sid: family.id,
        jti: randomBytes(16).toString('base64url'),
        iat: now,
        exp,
        cnf: { jkt: family.jkt },
      },
      this.#options.signingKey,
    );
    return {
      access_token: accessToken,
      issued_token_type: TYPE_ACCESS_TOKEN,
      token_type: 'DPoP',
      expires_in: exp - now,
      refresh_token: refreshHandle,
      login_expires_in: Math.floor(family.expiresAtMs / 1000) - now,
    };
  }

  /** @throws HoopError HOOP_TOKEN_ISSUER, HOOP_WORKLOAD_… when the policy no longer lets it in */
  #loginOf(family: RefreshFamily): LoginFacts {
    const stored: unknown = JSON.parse(family.claims);
    const workload = WorkloadClaims.safeParse(stored);
    if (workload.success) {
      const { authTime, claimsSha256, audiences } = workload.data;
      const admitted = admitWorkload(workload.data, this.#workloadPolicy());
      return { ...admitted, audience: audiences.join(' '), authTime, claimsSha256 };
    }
    const { login, provider } = this.#claimsOf(family, stored);
    const { audience, authTime, claimsSha256 } = login;
    const principal = toPrincipal(login, this.#options.roles(), provider);
    return { principal, audience, authTime, claimsSha256 };
  }

  #workloadPolicy(): WorkloadPolicy {
    const { workloads, origins, roles } = this.#options;
    return { rules: workloads?.() ?? [], origins: origins(), roles: roles() };
  }

  #claimsOf(
    family: RefreshFamily,
    stored: unknown,
  ): { login: LoginClaims; provider: IdentityProvider } {
    const provider = this.#options.providers().find(({ issuer }) => issuer === family.issuer);
    const login = LoginClaims.parse(stored);
    if (provider === undefined || clientOf(provider, login.flow ?? 'browser') !== login.audience) {
      throw tokenError('HOOP_TOKEN_ISSUER', 'the login comes from an unknown issuer', {
        detail: 'The policy in force no longer names its identity provider, or its client there.',
      });
    }
    return { login, provider };
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

  #name(): string {
    const [name] = this.#options.origins();
    if (name === undefined) {
      throw new TypeError('a gateway needs at least one base URL');
    }
    return name;
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

/**
 * hex, of what is signed. Not of the whole token: an ECDSA signature has a twin (r, n − s) that is
 * as good and that anybody can make, and a token with it must count as the same one.
 */
function signedDigest(token: string): string {
  return createHash('sha256')
    .update(token.slice(0, token.lastIndexOf('.')))
    .digest('hex');
}

function readAuthorization(header: string | undefined): string {
  if (header === undefined || header === '') {
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'the request carries no token', {
      hint: 'Log in with `hoop login`.',
    });
  }
  const [scheme, token, ...rest] = header.split(' ');
  if (scheme?.toLowerCase() !== 'dpop' || token === undefined || rest.length > 0) {
    throw tokenError('HOOP_PROOF_MISSING', 'the token was sent without a proof of its key', {
      detail: 'Tokens of this gateway are sent as `Authorization: DPoP`, never as Bearer.',
    });
  }
  return token;
}
