/** Which member holds which chunk, as the manifest's cuts lay them out. */

import { FormatError } from '../../format-error.ts';
import { type ChunkMember, readMember } from '../bundle/bundle-members.ts';
import type { BundleSource } from '../bundle/bundle-source.ts';
import { type ChunkPlace, chunksOfCut, countChunks } from './chunk.ts';
import type { ManifestCut } from './manifest.ts';
import type { Direction, StreamOffsets } from './types.ts';

/**
 * All chunks in leaf order.
 * @param limit refuses a manifest that claims more chunks than this before making the list
 * @throws FormatError when the cuts are not steps forward
 */
export function chunkPlaces(cuts: readonly ManifestCut[], limit: number): ChunkPlace[] {
  const at = new Map<number, StreamOffsets>();
  const places: ChunkPlace[] = [];
  let count = 0;
  for (const [index, cut] of cuts.entries()) {
    if (cut.epoch !== index) {
      throw new FormatError(`cut ${cut.epoch} is where cut ${index} belongs`);
    }
    for (const { stream, up, down } of cut.streams) {
      const before = at.get(stream) ?? { up: 0, down: 0 };
      count += countChunks(before.up, Math.max(before.up, up));
      count += countChunks(before.down, Math.max(before.down, down));
    }
    if (count > limit) {
      throw new FormatError('the manifest claims more chunks than a bundle can hold');
    }
    for (const place of chunksOfCut(cut.epoch, at, cut.streams)) {
      places.push(place);
    }
    for (const offsets of cut.streams) {
      at.set(offsets.stream, offsets);
    }
  }
  return places;
}

interface Entry {
  readonly offset: number;
  readonly member: ChunkMember;
}

/** Reads ranges of a stream out of the chunks of a bundle. */
export class ChunkMap {
  readonly #source: BundleSource;
  readonly #entries = new Map<string, Entry[]>();
  #cached: ChunkMember | undefined;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(source: BundleSource) {
    this.#source = source;
  }

  /** In leaf order, so that offsets of one stream and direction ascend. */
  add(place: ChunkPlace, member: ChunkMember): void {
    const key = `${place.stream}/${place.direction}`;
    const entries = this.#entries.get(key);
    if (entries === undefined) {
      this.#entries.set(key, [{ offset: place.offset, member }]);
    } else {
      entries.push({ offset: place.offset, member });
    }
  }

  /** @returns undefined when a chunk of the range is missing */
  read(
    stream: number,
    direction: Direction,
    offset: number,
    length: number,
  ): Uint8Array[] | undefined {
    const entries = this.#entries.get(`${stream}/${direction}`) ?? [];
    const parts: Uint8Array[] = [];
    let index = lastAtOrBefore(entries, offset);
    for (let at = offset; at < offset + length; index += 1) {
      const entry = entries[index];
      if (entry === undefined || at < entry.offset || at >= entry.offset + entry.member.size) {
        return undefined;
      }
      const bytes = this.#load(entry.member);
      const part = bytes.subarray(at - entry.offset, offset + length - entry.offset);
      parts.push(part);
      at += part.length;
    }
    return parts;
  }

  #load(member: ChunkMember): Uint8Array {
    if (this.#cached !== member) {
      this.#bytes = readMember(this.#source, member);
      this.#cached = member;
    }
    return this.#bytes;
  }
}

function lastAtOrBefore(entries: readonly Entry[], offset: number): number {
  let low = 0;
  let high = entries.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((entries[middle]?.offset ?? 0) <= offset) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}
