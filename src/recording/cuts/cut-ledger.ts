/**
 * Where a session's agreement stands: the tree so far, where each stream was at the last cut and
 * the number of the next. Both sides run the same ledger; pure.
 */

import { FormatError } from '../../format-error.ts';
import { type ChunkPlace, chunksOfCut } from '../formats/chunk.ts';
import { CompactRange, HASH_LENGTH } from '../formats/merkle-tree.ts';
import type { StreamOffsets } from '../formats/types.ts';

/** What a cut would make of the ledger. */
export interface CutPlan {
  readonly epoch: number;
  readonly streams: readonly StreamOffsets[];
  readonly places: readonly ChunkPlace[];
}

export interface CutResult {
  readonly tree: CompactRange;
  readonly treeSize: number;
  readonly root: Uint8Array;
}

export class CutLedger {
  readonly #offsets = new Map<number, StreamOffsets>();
  #tree = new CompactRange();
  #epoch = 0;

  /** Number of the next cut. */
  get epoch(): number {
    return this.#epoch;
  }

  get treeSize(): number {
    return this.#tree.size;
  }

  root(): Uint8Array {
    return this.#tree.root();
  }

  /** Where a stream was at the last cut. */
  offsets(stream: number): StreamOffsets {
    return this.#offsets.get(stream) ?? { stream, up: 0, down: 0 };
  }

  allOffsets(): StreamOffsets[] {
    return [...this.#offsets.values()].sort((left, right) => left.stream - right.stream);
  }

  /** @throws FormatError when the streams are not a step forward */
  plan(streams: readonly StreamOffsets[]): CutPlan {
    const places = chunksOfCut(this.#epoch, this.#offsets, streams);
    return { epoch: this.#epoch, streams, places };
  }

  /** @param leaves the leaves of `plan.places`, 32 bytes each, one after the other. */
  evaluate(plan: CutPlan, leaves: Uint8Array): CutResult {
    if (leaves.length !== plan.places.length * HASH_LENGTH) {
      throw new FormatError('a cut has another number of leaves than chunks');
    }
    const tree = this.#tree.clone();
    for (let at = 0; at < leaves.length; at += HASH_LENGTH) {
      tree.append(leaves.subarray(at, at + HASH_LENGTH));
    }
    return { tree, treeSize: tree.size, root: tree.root() };
  }

  commit(plan: CutPlan, result: CutResult): void {
    if (plan.epoch !== this.#epoch) {
      throw new TypeError('cuts must be committed in order');
    }
    for (const offsets of plan.streams) {
      this.#offsets.set(offsets.stream, offsets);
    }
    this.#tree = result.tree;
    this.#epoch += 1;
  }
}
