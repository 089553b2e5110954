import type {
  BoundToken,
  IdentityStore,
  ProviderLogout,
  RefreshFamily,
  RevokedLogins,
} from '../../../src/gateway/identity/identity-store.ts';

/** Forgets everything at the end of the process; the model of a durable store. */
export class MemoryIdentityStore implements IdentityStore {
  readonly #used = new Map<string, number>();
  readonly #bound = new Map<string, BoundToken & { readonly revoked: boolean }>();
  readonly #logouts: (ProviderLogout & { readonly expiresAtMs: number })[] = [];
  readonly #families = new Map<string, RefreshFamily>();

  async spendOnce(digest: string, expiresAtMs: number): Promise<boolean> {
    if (this.#used.has(digest)) {
      return false;
    }
    this.#used.set(digest, expiresAtMs);
    return true;
  }

  async bindToken(token: BoundToken): Promise<{ jkt: string; revoked: boolean }> {
    const bound = this.#bound.get(token.digest) ?? { ...token, revoked: false };
    this.#bound.set(token.digest, bound);
    return { jkt: bound.jkt, revoked: bound.revoked };
  }

  async revokeTokens(of: { issuer: string; sub: string; jkt?: string }): Promise<void> {
    for (const token of this.#bound.values()) {
      const isKey = of.jkt === undefined || of.jkt === token.jkt;
      if (isKey && token.issuer === of.issuer && token.sub === of.sub) {
        this.#bound.set(token.digest, { ...token, revoked: true });
      }
    }
  }

  async createFamily(family: RefreshFamily): Promise<boolean> {
    if (family.parent !== undefined && this.#families.get(family.parent)?.revoked !== false) {
      return false;
    }
    this.#families.set(family.id, family);
    return true;
  }

  async countRuns(
    { issuer, sub }: { issuer: string; sub: string },
    nowMs: number,
  ): Promise<number> {
    const isLive = (one: RefreshFamily) => !one.revoked && one.expiresAtMs > nowMs;
    return [...this.#families.values()].filter(
      (one) => one.run !== undefined && isLive(one) && one.issuer === issuer && one.sub === sub,
    ).length;
  }

  async readFamily(id: string): Promise<RefreshFamily | undefined> {
    return this.#families.get(id);
  }

  async liveFamilies(nowMs: number): Promise<readonly RefreshFamily[]> {
    return [...this.#families.values()].filter((one) => !one.revoked && one.expiresAtMs > nowMs);
  }

  async advanceFamily(id: string, fromGeneration: number, rotatedAtMs: number): Promise<boolean> {
    const family = this.#families.get(id);
    if (family === undefined || family.revoked || family.generation !== fromGeneration) {
      return false;
    }
    this.#families.set(id, { ...family, generation: fromGeneration + 1, rotatedAtMs });
    return true;
  }

  async extendFamily(
    of: Pick<RefreshFamily, 'issuer' | 'sub' | 'jkt'>,
    to: Pick<RefreshFamily, 'claims' | 'expiresAtMs'>,
    nowMs: number,
  ): Promise<RefreshFamily | undefined> {
    const isLive = (one: RefreshFamily) => !one.revoked && one.expiresAtMs > nowMs;
    const found = [...this.#families.values()].find(
      (one) =>
        isLive(one) &&
        one.run === undefined &&
        one.issuer === of.issuer &&
        one.sub === of.sub &&
        one.jkt === of.jkt,
    );
    const extended = new Set([found?.id]);
    for (const family of this.#families.values()) {
      if (isLive(family) && (extended.has(family.id) || extended.has(family.parent))) {
        extended.add(family.id);
        this.#families.set(family.id, { ...family, ...to });
      }
    }
    return found && this.#families.get(found.id);
  }

  async confirmFamily(id: string, claims: string): Promise<void> {
    const confirmed = new Set([id]);
    for (const family of this.#families.values()) {
      if (confirmed.has(family.id) || confirmed.has(family.parent ?? '')) {
        confirmed.add(family.id);
        this.#families.set(family.id, { ...family, claims });
      }
    }
  }

  async revokeFamilies(which: RevokedLogins, why?: string): Promise<readonly string[]> {
    const revoked: string[] = [];
    const ended = new Set<string>();
    // In the order of insertion: a parent comes before its children.
    for (const family of this.#families.values()) {
      const matches =
        'id' in which
          ? family.id === which.id
          : family.issuer === which.issuer && family.sub === which.sub;
      if (!matches && !ended.has(family.parent ?? '')) {
        continue;
      }
      ended.add(family.id);
      if (!family.revoked) {
        const because = why === undefined ? {} : { revokedBecause: why };
        this.#families.set(family.id, { ...family, revoked: true, ...because });
        revoked.push(family.id);
      }
    }
    return revoked;
  }

  async addProviderLogout(logout: ProviderLogout, expiresAtMs: number): Promise<void> {
    this.#logouts.push({ ...logout, expiresAtMs });
  }

  async providerLogouts(issuer: string, nowMs: number): Promise<readonly ProviderLogout[]> {
    return this.#logouts.filter((one) => one.issuer === issuer && one.expiresAtMs > nowMs);
  }

  async prune(nowMs: number): Promise<void> {
    for (const [digest, expiresAtMs] of this.#used) {
      if (expiresAtMs <= nowMs) {
        this.#used.delete(digest);
      }
    }
    for (const [digest, { expiresAtMs }] of this.#bound) {
      if (expiresAtMs <= nowMs) {
        this.#bound.delete(digest);
      }
    }
    for (const family of this.#families.values()) {
      if (family.expiresAtMs <= nowMs) {
        this.#families.delete(family.id);
      }
    }
  }
}
