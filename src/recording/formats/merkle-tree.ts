/**
 * RFC 6962 §2.1 tree hashes, kept as a compact range: the roots of the full subtrees from left to
 * right, one per set bit of the size. https://www.rfc-editor.org/rfc/rfc6962#section-2.1
 */
import { hash } from 'node:crypto';
import { FormatError } from '../../format-error.ts';

export const HASH_LENGTH = 32;

/** MTH of no leaves. */
const EMPTY_ROOT: Uint8Array = hash('sha256', '', 'buffer');

export class CompactRange {
  #size = 0;
  readonly #subtrees: Uint8Array[] = [];

  get size(): number {
    return this.#size;
  }

  /** @param leaf the leaf's hash (chunk.ts puts the 0x00 in front of what it hashes). */
  append(leaf: Uint8Array): void {
    if (leaf.length !== HASH_LENGTH) {
      throw new FormatError('a leaf is not 32 bytes');
    }
    let node = leaf;
    // A set low bit means a full subtree of that height waits on the left.
    for (let bits = this.#size; bits % 2 === 1; bits = Math.floor(bits / 2)) {
      node = nodeHash(this.#subtrees.pop() ?? EMPTY_ROOT, node);
    }
    this.#subtrees.push(node);
    this.#size += 1;
  }

  root(): Uint8Array {
    let root: Uint8Array | undefined;
    for (const subtree of this.#subtrees.toReversed()) {
      root = root === undefined ? subtree : nodeHash(subtree, root);
    }
    return root ?? EMPTY_ROOT;
  }

  clone(): CompactRange {
    const copy = new CompactRange();
    copy.#size = this.#size;
    copy.#subtrees.push(...this.#subtrees);
    return copy;
  }
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const node = Buffer.allocUnsafe(1 + 2 * HASH_LENGTH);
  node[0] = 0x01;
  node.set(left, 1);
  node.set(right, 1 + HASH_LENGTH);
  return hash('sha256', node, 'buffer');
}
