import type { ChunkPlace } from './chunk.ts';
import type { DataIndex } from './data-index.ts';
import { type LeafJob, leafJob } from './hash-leaves.ts';
import type { LeafAhead } from './leaf-ahead.ts';
import type { LeafHasher } from './leaf-hasher.ts';
import { HASH_LENGTH } from './merkle-tree.ts';

export interface LeafSources {
  /** The files. */
  readonly source: Pick<LeafJob, 'directory' | 'dataKey' | 'saltKey'>;
  readonly hasher: LeafHasher;
  readonly ahead?: LeafAhead;
}

/**
 * The leaves of chunks that are recorded, 32 bytes each, in order: those that were hashed ahead,
 * the others from the files.
 * @throws HoopError HOOP_RECORDING_DAMAGED when the files do not hold the chunks
 */
export async function leavesOf(
  places: readonly ChunkPlace[],
  index: DataIndex,
  { source, hasher, ahead }: LeafSources,
): Promise<Uint8Array> {
  const leaves = new Uint8Array(places.length * HASH_LENGTH);
  const missing: { readonly at: number; readonly place: ChunkPlace }[] = [];
  for (const [at, place] of places.entries()) {
    const leaf = ahead?.take(place);
    if (leaf === undefined) {
      missing.push({ at, place });
    } else {
      leaves.set(leaf, at * HASH_LENGTH);
    }
  }
  if (missing.length > 0) {
    const job = leafJob(
      source,
      missing.map(({ place }) => place),
      index,
    );
    const hashed = await hasher.hash(job);
    for (const [nth, { at }] of missing.entries()) {
      leaves.set(hashed.subarray(nth * HASH_LENGTH, (nth + 1) * HASH_LENGTH), at * HASH_LENGTH);
    }
  }
  return leaves;
}
