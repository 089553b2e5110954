/** 64 KiB chunks of a 3 GB upload within one nonce's life; a text of 22 characters each. */
export const MAX_PROOFS_PER_KEY = 50_000;

interface Generation {
  readonly ids: Set<string>;
  /** The set takes proofs that end before this… */
  readonly takesUntilMs: number;
  /** …and is dropped when the last of them has ended. */
  endsAtMs: number;
}

/**
 * Proofs that were used, until their nonce ends. Kept for each client key apart, so that one
 * client cannot make the gateway forget, or refuse, those of another.
 */
export class ProofReplays {
  readonly #keys = new Map<string, Generation[]>();
  #sweptAtMs = 0;

  /**
   * @param endsAtMs when a proof with this id is refused for its nonce anyway
   * @returns `fresh`, `replayed`, or `full` when this key used too many to remember
   */
  use(
    proof: { readonly jkt: string; readonly jti: string; readonly endsAtMs: number },
    nowMs: number,
  ): 'fresh' | 'replayed' | 'full' {
    this.#sweep(nowMs);
    const generations = this.#keys.get(proof.jkt) ?? [];
    this.#keys.set(proof.jkt, generations);
    if (generations.some(({ ids }) => ids.has(proof.jti))) {
      return 'replayed';
    }
    if (generations.reduce((sum, { ids }) => sum + ids.size, 0) >= MAX_PROOFS_PER_KEY) {
      return 'full';
    }
    const newest = generations.at(-1);
    // Ids are dropped by the set, not one by one: each set takes those of a minute.
    if (newest === undefined || newest.takesUntilMs <= proof.endsAtMs) {
      generations.push({
        ids: new Set([proof.jti]),
        takesUntilMs: proof.endsAtMs + 60_000,
        endsAtMs: proof.endsAtMs,
      });
    } else {
      newest.ids.add(proof.jti);
      newest.endsAtMs = Math.max(newest.endsAtMs, proof.endsAtMs);
    }
    return 'fresh';
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < 10_000) {
      return;
    }
    this.#sweptAtMs = nowMs;
    for (const [jkt, generations] of this.#keys) {
      const live = generations.filter(({ endsAtMs }) => endsAtMs > nowMs);
      if (live.length === 0) {
        this.#keys.delete(jkt);
      } else {
        this.#keys.set(jkt, live);
      }
    }
  }
}
