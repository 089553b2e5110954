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
}

/**
 * What must survive a restart of the gateway: which ID tokens were spent, and which logins live.
 * Every promise resolves when the change is durable, or rejects and then nothing was granted.
 */
export interface IdentityStore {
  /** @returns true for the first caller with this digest; it is remembered until `expiresAtMs`. */
  spendOnce(digest: string, expiresAtMs: number): Promise<boolean>;
  createFamily(family: RefreshFamily): Promise<void>;
  readFamily(id: string): Promise<RefreshFamily | undefined>;
  /**
   * Compare and swap: generation + 1 if it still is `fromGeneration` and the family is not revoked.
   * @returns whether it was swapped
   */
  advanceFamily(id: string, fromGeneration: number, rotatedAtMs: number): Promise<boolean>;
  /** @returns the ids that were live until now */
  revokeFamilies(which: RevokedLogins): Promise<readonly string[]>;
  /** Forgets digests and families whose `expiresAtMs` has passed. */
  prune(nowMs: number): Promise<void>;
}

export type RevokedLogins =
  | { readonly id: string }
  | { readonly issuer: string; readonly sub: string };
