/**
 * A token from elsewhere for a login here: the ID token of a person, which buys one login, or the
 * token of a workload's platform, which belongs to the first key that it comes with.
 *
 * https://www.rfc-editor.org/rfc/rfc8693
 */
import { createHash, type KeyObject } from 'node:crypto';
import { providerFetch } from '../../provider-fetch.ts';
import type { IdentityProvider } from './identity-provider.ts';
import type { IdentityStore, RefreshFamily } from './identity-store.ts';
import { LoginNonces } from './login-nonces.ts';
import type { CurrentLogin, Logins } from './logins.ts';
import { type LoginPolicy, workloadPolicy } from './stored-login.ts';
import { verifyIdToken } from './tokens/id-token.ts';
import { JwksCache } from './tokens/jwks-cache.ts';
import { LoginClaims } from './tokens/login-claims.ts';
import { type VerifiedLogoutToken, verifyLogoutToken } from './tokens/logout-token.ts';
import type { SpentProof } from './tokens/proof-replays.ts';
import { tokenError } from './tokens/token-error.ts';
import { optionalField, requireField } from './tokens/token-form.ts';
import { asWorkloadError, verifyWorkloadToken } from './tokens/workload-token.ts';
import { admitWorkload, workloadId } from './workload-login.ts';

const TYPE_ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
/** RFC 8693 §3: any JWT; here the token of a workload's platform. */
const TYPE_JWT = 'urn:ietf:params:oauth:token-type:jwt';

export interface TokenExchangeOptions extends LoginPolicy {
  readonly store: IdentityStore;
  /** Ed25519, private; of session tokens. */
  readonly signingKey: KeyObject;
}

/** The proof that came with the request. It is verified first, and spent when its token is good. */
export interface ExchangeProof {
  readonly verify: () => Promise<SpentProof>;
  readonly spend: (proof: SpentProof) => void;
  /** Address that the request came from. */
  readonly from?: string | undefined;
}

export class TokenExchange {
  readonly #options: TokenExchangeOptions;
  readonly #logins: Logins;
  readonly #keys: JwksCache;
  readonly #nonces: LoginNonces;

  constructor(options: TokenExchangeOptions, logins: Logins) {
    this.#options = options;
    this.#logins = logins;
    this.#keys = new JwksCache({
      clock: options.clock,
      fetch: (issuer) => providerFetch(this.#provider(issuer)?.ca),
    });
    this.#nonces = new LoginNonces(options.signingKey, options.clock);
  }

  #provider(issuer: string): IdentityProvider | undefined {
    return this.#options.providers().find((provider) => provider.issuer === issuer);
  }

  /** For the ID token of one login. */
  loginNonce(): string {
    return this.#nonces.issue();
  }

  /** What a provider says of who is logged out there. @throws HoopError HOOP_TOKEN_… */
  logoutToken(token: string): Promise<VerifiedLogoutToken> {
    const { providers, clock } = this.#options;
    return verifyLogoutToken(token, {
      providers: providers(),
      keys: this.#keys,
      nowMs: clock(),
    });
  }

  /** @throws HoopError HOOP_TOKEN_…, HOOP_WORKLOAD_…, HOOP_PROOF_… */
  login(form: URLSearchParams, proof: ExchangeProof): Promise<CurrentLogin> {
    const type = requireField(form, 'subject_token_type');
    const token = requireField(form, 'subject_token');
    switch (type) {
      case TYPE_JWT:
        return this.#workload(token, proof);
      case TYPE_ID_TOKEN:
        return this.#person(token, optionalField(form, 'login_nonce'), proof);
      default:
        throw tokenError('HOOP_TOKEN_TYPE', 'the token is not an ID token', {
          detail:
            'Access tokens are for other services; this gateway exchanges ID tokens, and JWTs of workloads.',
        });
    }
  }

  async #person(
    idToken: string,
    nonce: string | undefined,
    { verify, spend, from }: ExchangeProof,
  ): Promise<CurrentLogin> {
    const { providers, clock, store } = this.#options;
    // The proof first: a client that must come again for a nonce has not spent its token.
    const proof = await verify();
    const { claims, refusedAfterMs, nonceEndsAtMs } = await verifyIdToken(idToken, {
      providers: providers(),
      keys: this.#keys,
      nowMs: clock(),
      nonce: (claim) => this.#nonces.check(nonce, claim, proof.jkt),
    });
    spend(proof);
    const isNew =
      nonce === undefined ||
      nonceEndsAtMs === undefined ||
      (await store.spendOnce(nonceDigest(nonce), nonceEndsAtMs));
    if (!isNew || !(await store.spendOnce(signedDigest(idToken), refusedAfterMs))) {
      throw tokenError('HOOP_TOKEN_REPLAYED', 'the ID token has already been used', {
        detail:
          'Each ID token and each nonce is valid for one login. If this was not you, somebody has a copy.',
      });
    }
    return this.#logins.start(claims, proof.jkt, this.#provider(claims.issuer)?.maxTime, from);
  }

  /**
   * A new ID token for a login that there is already: the provider's word that it may go on. It has
   * no nonce of ours, since providers need not put one into the answer to a refresh token.
   * @returns the login as it is now
   * @throws HoopError HOOP_TOKEN_…
   */
  async confirm(idToken: string, family: RefreshFamily): Promise<RefreshFamily> {
    const { providers, clock, store } = this.#options;
    const stored = LoginClaims.parse(JSON.parse(family.claims));
    const { claims, refusedAfterMs } = await verifyIdToken(idToken, {
      providers: providers(),
      keys: this.#keys,
      nowMs: clock(),
      nonce: undefined,
    });
    const { issuer, sub, audience, subject, freshAt = 0 } = claims;
    const isOther =
      subject !== undefined &&
      subject.claim === stored.subject?.claim &&
      subject.value !== stored.subject.value;
    if (isOther || issuer !== stored.issuer || sub !== stored.sub || audience !== stored.audience) {
      throw tokenError('HOOP_TOKEN_NONCE', 'the ID token does not belong to this login', {
        detail: 'It is for another person, or for another client at the identity provider.',
      });
    }
    if (freshAt < (stored.freshAt ?? 0)) {
      throw tokenError('HOOP_TOKEN_TOO_OLD', 'the ID token is older than the previous one');
    }
    if (!(await store.spendOnce(signedDigest(idToken), refusedAfterMs))) {
      throw tokenError('HOOP_TOKEN_REPLAYED', 'the ID token has already been used');
    }
    const { authTime, startedAt = family.createdAtMs / 1000, sid } = stored;
    // An answer to a refresh token need not name the session again.
    const kept = { authTime, startedAt, ...(claims.sid === undefined && sid ? { sid } : {}) };
    return { ...family, claims: JSON.stringify({ ...claims, ...kept }) };
  }

  /** The same token again works with the same key only, as often as it likes: GitLab has one for a job. */
  async #workload(token: string, { verify, spend, from }: ExchangeProof): Promise<CurrentLogin> {
    const { workloads, clock, store } = this.#options;
    const proof = await verify();
    const { claims, refusedAfterMs } = await verifyWorkloadToken(token, {
      rules: workloads?.() ?? [],
      keys: this.#keys,
      nowMs: clock(),
    }).catch((error: unknown) => {
      throw asWorkloadError(error);
    });
    admitWorkload(claims, workloadPolicy(this.#options));
    spend(proof);
    const bound = await store.bindToken({
      digest: signedDigest(token),
      ...workloadId(claims),
      jkt: proof.jkt,
      expiresAtMs: refusedAfterMs,
    });
    if (bound.jkt !== proof.jkt) {
      throw tokenError('HOOP_TOKEN_BOUND', 'the workload token belongs to another key', {
        detail:
          'It has already been exchanged with another key. If that was not this job, the token was stolen.',
        hint: 'Processes that share one token must share HOOP_HOME, where the key is kept.',
      });
    }
    if (bound.revoked) {
      throw tokenError('HOOP_TOKEN_REVOKED', 'the workload token has ended with its login', {
        detail: 'The login was revoked, and its tokens cannot open another one.',
        hint: 'A new token from the platform can log in again, if the policy allows it.',
      });
    }
    return this.#logins.startOrExtend(claims, proof.jkt, from);
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

/** No digest of a token can be the same: those are of texts with a dot. */
function nonceDigest(nonce: string): string {
  return createHash('sha256').update(`nonce ${nonce}`).digest('hex');
}
