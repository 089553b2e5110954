import type { EventParty } from '../../api/events.ts';
import type { NewEvent } from '../events/audit-events.ts';

/** One login: the chain of refresh handles that came from one ID token. */
export interface RefreshFamily {
  readonly id: string;
  readonly issuer: string;
  readonly sub: string;
  /** RFC 7638 thumbprint of the client's key. */
  readonly jkt: string;
  /** Number of the handle that is good now. */
  readonly generation: number;
  readonly rotatedAtMs: number;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** JSON of `LoginClaims`: what the ID token said. */
  readonly claims: string;
  readonly revoked: boolean;
  /** Why it was revoked, in words for its holder. */
  readonly revokedBecause?: string;
  /** The login that it was made from and ends with. */
  readonly parent?: string;
  /** JSON of `RunOfLogin`: the login is that of a run. */
  readonly run?: string;
}

/** A workload's token that has bought a login. */
export interface BoundToken {
  /** hex, of what is signed */
  readonly digest: string;
  /** As in `RefreshFamily`, of the login. */
  readonly issuer: string;
  readonly sub: string;
  readonly jkt: string;
  /** The token is refused from then on. */
  readonly expiresAtMs: number;
}

/** What a provider has said of somebody, or of one session of theirs there. */
export interface ProviderLogout {
  readonly issuer: string;
  readonly sub: string | undefined;
  readonly sid: string | undefined;
  /** Seconds; when the provider said so. */
  readonly issuedAt: number;
}

/**
 * What must survive a restart of the gateway: which ID tokens were spent, and which logins live.
 * Every promise resolves when the change is durable, or rejects and then nothing was granted.
 */
export interface IdentityStore {
  /** @returns true for the first caller with this digest; it is remembered until `expiresAtMs`. */
  spendOnce(digest: string, expiresAtMs: number): Promise<boolean>;
  /**
   * The first key that comes with a digest keeps it until `expiresAtMs`.
   * @returns the key that has it now, and whether the token was revoked since
   */
  bindToken(token: BoundToken): Promise<Pick<BoundToken, 'jkt'> & { readonly revoked: boolean }>;
  /** Of all keys when none is named. Tokens that come later are not meant. */
  revokeTokens(of: Pick<BoundToken, 'issuer' | 'sub'> & { readonly jkt?: string }): Promise<void>;
  /**
   * @param from address that the request came from
   * @returns false when its parent has ended: then nothing was stored
   */
  createFamily(family: RefreshFamily, from?: string): Promise<boolean>;
  /** How many logins of runs of this principal have not ended. */
  countRuns(principal: { issuer: string; sub: string }, nowMs: number): Promise<number>;
  readFamily(id: string): Promise<RefreshFamily | undefined>;
  /** Those that are not revoked and not over. */
  liveFamilies(nowMs: number): Promise<readonly RefreshFamily[]>;
  /**
   * Compare and swap: generation + 1 if it still is `fromGeneration` and the family is not revoked.
   * @returns whether it was swapped
   */
  advanceFamily(id: string, fromGeneration: number, rotatedAtMs: number): Promise<boolean>;
  /**
   * The live login of this principal and key, if there is one, says `claims` and lasts until
   * `expiresAtMs` from now on, and so do the logins of runs that were made from it.
   * @returns it as it is now
   */
  extendFamily(
    of: Pick<RefreshFamily, 'issuer' | 'sub' | 'jkt'>,
    to: Pick<RefreshFamily, 'claims' | 'expiresAtMs'>,
    nowMs: number,
  ): Promise<RefreshFamily | undefined>;
  /** What its provider says now, for it and for the logins that were made from it, and from those. */
  confirmFamily(id: string, claims: string): Promise<void>;
  /**
   * With all logins that were made from them, and from those.
   * @param why is kept with each; one that has ended before keeps its own
   * @param end default: it ended by itself
   * @returns the ids that were live until now
   */
  revokeFamilies(which: RevokedLogins, why?: string, end?: LoginEnd): Promise<readonly string[]>;
  /** Somebody is logged out at their provider. */
  addProviderLogout(logout: ProviderLogout, expiresAtMs: number): Promise<void>;
  /** Those of an issuer that have not expired. */
  providerLogouts(issuer: string, nowMs: number): Promise<readonly ProviderLogout[]>;
  /** Forgets digests, families and logouts whose `expiresAtMs` has passed. */
  prune(nowMs: number): Promise<void>;
}

/** How logins end, for the events; `why` is for their holder, and may hold somebody's own words. */
export interface LoginEnd {
  readonly how: Extract<NewEvent, { type: 'login.ended' }>['how'];
  /** Who has ended them, where that is not their holder. */
  readonly by?: EventParty;
  /** Address that this came from. */
  readonly from?: string | undefined;
}

export type RevokedLogins =
  | { readonly id: string }
  | { readonly issuer: string; readonly sub: string };
