/** One key may make this many requests in a nonce's life: about 160 a second, for a busy client's streams. */
export const MAX_PROOFS_PER_KEY = 50_000;

/** Bounds of all keys together; tests take smaller ones. */
export interface ProofBounds {
  /** From here on a key is refused when it has used more than `fairShare`. */
  readonly crowded: number;
  readonly fairShare: number;
  /** Nobody is taken beyond this: about 60 MB. */
  readonly total: number;
}

const BOUNDS: ProofBounds = { crowded: 250_000, fairShare: 500, total: 500_000 };

export interface SpentProof {
  readonly jkt: string;
  readonly jti: string;
  /** When a proof with this id is refused for its nonce anyway, in milliseconds. */
  readonly endsAtMs: number;
}

interface Generation {
  readonly ids: Set<string>;
  /** The set takes proofs that end before this… */
  readonly takesUntilMs: number;
  /** …and is dropped when the last of them has ended. */
  endsAtMs: number;
}

interface KeyProofs {
  generations: Generation[];
  count: number;
}

/**
 * Proofs that were used, until their nonce ends. Only those of callers who have shown a good token
 * come here: who has none costs no memory. Kept for each client key apart, so that one client
 * cannot make the gateway forget those of another; when all of them together are many, those who
 * use the most are refused first.
 */
export class ProofReplays {
  readonly #bounds: ProofBounds;
  readonly #keys = new Map<string, KeyProofs>();
  #count = 0;
  #sweptAtMs = 0;

  constructor(bounds: ProofBounds = BOUNDS) {
    this.#bounds = bounds;
  }

  /** @returns `fresh`, `replayed`, or `full` when there is no room to remember it */
  use(proof: SpentProof, nowMs: number): 'fresh' | 'replayed' | 'full' {
    this.#sweep(nowMs);
    const key = this.#keys.get(proof.jkt) ?? { generations: [], count: 0 };
    if (key.generations.some(({ ids }) => ids.has(proof.jti))) {
      return 'replayed';
    }
    if (this.#isFullFor(key)) {
      return 'full';
    }
    this.#keys.set(proof.jkt, key);
    key.count += 1;
    this.#count += 1;
    const newest = key.generations.at(-1);
    // Ids are dropped by the set, not one by one: each set takes those of a minute.
    if (newest === undefined || newest.takesUntilMs <= proof.endsAtMs) {
      key.generations.push({
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

  #isFullFor({ count }: KeyProofs): boolean {
    const { crowded, fairShare, total } = this.#bounds;
    return (
      count >= MAX_PROOFS_PER_KEY ||
      this.#count >= total ||
      (this.#count >= crowded && count >= fairShare)
    );
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < 10_000) {
      return;
    }
    this.#sweptAtMs = nowMs;
    this.#count = 0;
    for (const [jkt, key] of this.#keys) {
      key.generations = key.generations.filter(({ endsAtMs }) => endsAtMs > nowMs);
      key.count = key.generations.reduce((sum, { ids }) => sum + ids.size, 0);
      this.#count += key.count;
      if (key.count === 0) {
        this.#keys.delete(jkt);
      }
    }
  }
}
