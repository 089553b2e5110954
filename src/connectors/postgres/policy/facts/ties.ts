/** Values that conditions compare with each other: each may show the others. */
import type { Origin } from './lineage.ts';

export class Ties {
  /** Towards the representative of each group; what is alone is not in it. */
  readonly #next = new Map<Origin, Origin>();

  tie(origins: Iterable<Origin>): void {
    let root: Origin | undefined;
    for (const origin of origins) {
      const other = this.#rootOf(origin);
      if (root && other !== root) {
        this.#next.set(other, root);
      }
      root ??= other;
    }
  }

  /** Everything that comparisons connect with these, other than themselves. */
  tiedTo(origins: ReadonlySet<Origin>): ReadonlySet<Origin> {
    if (this.#next.size === 0) {
      return new Set();
    }
    const roots = new Set([...origins].map((origin) => this.#rootOf(origin)));
    const members = new Set([...this.#next.keys(), ...this.#next.values()]);
    return new Set(
      [...members].filter((member) => !origins.has(member) && roots.has(this.#rootOf(member))),
    );
  }

  #rootOf(origin: Origin): Origin {
    let root = origin;
    for (let next = this.#next.get(root); next; next = this.#next.get(root)) {
      root = next;
    }
    return root;
  }
}
