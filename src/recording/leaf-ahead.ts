/**
 * Leaves of whole chunks, hashed while their bytes are recorded, so that a cut need not read them
 * back. A leaf begins with the number of the cut that covers it and the length of its chunk, which
 * are not known yet: both are assumed (the next cut, or in bulk the one that CUT_STEP_BYTES leads to,
 * and that none falls into the chunk), and a chunk for which this turned out wrong is hashed from the
 * file. `take` gives out a leaf only for exactly what was assumed, so a wrong guess costs time and
 * nothing else.
 */
import type { Hash, KeyObject } from 'node:crypto';
import { CHUNK_BYTES, type ChunkPlace, CUT_STEP_BYTES, finishLeaf, startLeaf } from './chunk.ts';
import type { Direction, StreamOffsets } from './types.ts';

interface Progress {
  readonly stream: number;
  readonly direction: Direction;
  /** Bytes seen so far. */
  at: number;
  /** Up to where the last cut goes. */
  covered: number;
  /** The chunk in work; undefined: it begins when the bytes reach `from`. */
  chunk: { readonly place: ChunkPlace; readonly hash: Hash } | undefined;
  from: number;
  /** By the offset of their chunks. */
  readonly leaves: Map<number, { readonly place: ChunkPlace; readonly leaf: Uint8Array }>;
  isClosed: boolean;
}

export class LeafAhead {
  readonly #saltKey: KeyObject;
  readonly #streams = new Map<number, Progress>();
  #epoch = 0;

  constructor(saltKey: KeyObject) {
    this.#saltKey = saltKey;
  }

  /** The next bytes of a stream. */
  add(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    const progress = this.#progress(stream, direction);
    for (const part of parts) {
      this.#addPart(progress, part);
    }
  }

  /** What comes from here on belongs to cut `epoch`; the one before goes up to `covered`. */
  startEpoch(epoch: number, covered: readonly StreamOffsets[]): void {
    this.#epoch = epoch;
    const ends = new Map(covered.map((offsets) => [offsets.stream, offsets]));
    for (const progress of this.#streams.values()) {
      const { stream, direction, at, chunk } = progress;
      const offsets = ends.get(stream);
      progress.covered = (direction === 0 ? offsets?.up : offsets?.down) ?? progress.covered;
      const { covered } = progress;
      if (covered === at) {
        progress.from = at;
        progress.chunk = undefined;
      } else if (chunk === undefined || !this.#isAsAssumed(progress, chunk.place)) {
        // The first chunk of the new cut has begun already, under another number.
        progress.from = boundaryFrom(Math.max(at, covered));
        progress.chunk = undefined;
      }
    }
  }

  #isAsAssumed(progress: Progress, place: ChunkPlace): boolean {
    return (
      place.offset >= progress.covered && place.epoch === this.#epochAt(progress, place.offset)
    );
  }

  /** The cut that a chunk at this offset is expected to belong to. */
  #epochAt({ covered }: Progress, offset: number): number {
    const steps = Math.floor(offset / CUT_STEP_BYTES) - Math.floor(covered / CUT_STEP_BYTES);
    return this.#epoch + steps;
  }

  take(place: ChunkPlace): Uint8Array | undefined {
    const known = this.#streams.get(keyOf(place.stream, place.direction))?.leaves.get(place.offset);
    return known?.place.epoch === place.epoch && known.place.length === place.length
      ? known.leaf
      : undefined;
  }

  /** A cut that covers these offsets is agreed on. */
  forget(covered: readonly StreamOffsets[]): void {
    for (const { stream, up, down } of covered) {
      for (const direction of [0, 1] as const) {
        const progress = this.#streams.get(keyOf(stream, direction));
        for (const offset of progress?.leaves.keys() ?? []) {
          if (offset < (direction === 0 ? up : down)) {
            progress?.leaves.delete(offset);
          }
        }
        this.#drop(progress);
      }
    }
  }

  /** No more bytes of this stream come. */
  close(stream: number): void {
    for (const direction of [0, 1] as const) {
      const progress = this.#streams.get(keyOf(stream, direction));
      if (progress !== undefined) {
        progress.isClosed = true;
        progress.chunk = undefined;
        this.#drop(progress);
      }
    }
  }

  /** Of a stream that has ended nothing is kept but leaves that no cut covers yet. */
  #drop(progress: Progress | undefined): void {
    if (progress?.isClosed && progress.leaves.size === 0) {
      this.#streams.delete(keyOf(progress.stream, progress.direction));
    }
  }

  #addPart(progress: Progress, part: Uint8Array): void {
    for (let done = 0; done < part.length; ) {
      const boundary = boundaryFrom(progress.at + 1);
      progress.chunk ??= this.#begin(progress, boundary);
      const length = Math.min(part.length - done, boundary - progress.at);
      progress.chunk?.hash.update(part.subarray(done, done + length));
      done += length;
      progress.at += length;
      if (progress.at === boundary && progress.chunk !== undefined) {
        const { place, hash } = progress.chunk;
        progress.leaves.set(place.offset, { place, leaf: finishLeaf(hash) });
        progress.chunk = undefined;
        progress.from = boundary;
      }
    }
  }

  #begin(progress: Progress, boundary: number): Progress['chunk'] {
    const { stream, direction, at, from } = progress;
    if (at !== from) {
      return undefined;
    }
    const epoch = this.#epochAt(progress, at);
    const place = { epoch, stream, direction, offset: at, length: boundary - at };
    return { place, hash: startLeaf(this.#saltKey, place) };
  }

  #progress(stream: number, direction: Direction): Progress {
    const key = keyOf(stream, direction);
    let progress = this.#streams.get(key);
    if (progress === undefined) {
      const leaves: Progress['leaves'] = new Map();
      const start = { at: 0, covered: 0, chunk: undefined, from: 0, leaves, isClosed: false };
      progress = { stream, direction, ...start };
      this.#streams.set(key, progress);
    }
    return progress;
  }
}

/** The first multiple of a chunk's length at or after `offset`. */
function boundaryFrom(offset: number): number {
  return Math.ceil(offset / CHUNK_BYTES) * CHUNK_BYTES;
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
