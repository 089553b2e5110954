/**
 * Hashes chunks while their bytes are recorded, so that bulk is hashed once, where it passes anyway,
 * and never read back. Which cut a chunk belongs to is the last thing that goes into its leaf, so
 * nothing is assumed: a chunk ends at its boundary, or where everything that has come is in a cut.
 * Only the chunk that a cut ends in before the last byte that has come is hashed from the file.
 */
import type { Hash, KeyObject } from 'node:crypto';
import { CHUNK_BYTES, type ChunkPlace, finishLeaf, startLeaf } from './chunk.ts';
import type { Direction, StreamOffsets } from './types.ts';

interface Progress {
  readonly stream: number;
  readonly direction: Direction;
  /** Bytes seen so far. */
  at: number;
  /** The chunk in work; undefined: it begins when the bytes reach `from`. */
  chunk: { readonly offset: number; readonly hash: Hash } | undefined;
  from: number;
  /** Chunks that have ended, by their offset. */
  readonly ended: Map<number, EndedChunk>;
  isClosed: boolean;
}

interface EndedChunk {
  readonly length: number;
  /** Waits for the number of its cut. */
  readonly hash: Hash;
  leaf: { readonly epoch: number; readonly bytes: Uint8Array } | undefined;
}

export class LeafAhead {
  readonly #saltKey: KeyObject;
  readonly #streams = new Map<number, Progress>();

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

  /** A cut goes up to here; what comes from here on belongs to a later one. */
  cutAt(covered: readonly StreamOffsets[]): void {
    for (const { stream, up, down } of covered) {
      for (const direction of [0, 1] as const) {
        const progress = this.#streams.get(keyOf(stream, direction));
        if (progress !== undefined) {
          endChunkAt(progress, direction === 0 ? up : down);
        }
      }
    }
  }

  /** @returns undefined when it was not hashed as this chunk */
  take({ stream, direction, offset, length, epoch }: ChunkPlace): Uint8Array | undefined {
    const ended = this.#streams.get(keyOf(stream, direction))?.ended.get(offset);
    if (ended?.length !== length) {
      return undefined;
    }
    ended.leaf ??= { epoch, bytes: finishLeaf(ended.hash, { epoch, length }) };
    return ended.leaf.epoch === epoch ? ended.leaf.bytes : undefined;
  }

  /** A cut that covers these offsets is agreed on. */
  forget(covered: readonly StreamOffsets[]): void {
    for (const { stream, up, down } of covered) {
      for (const direction of [0, 1] as const) {
        const progress = this.#streams.get(keyOf(stream, direction));
        for (const offset of progress?.ended.keys() ?? []) {
          if (offset < (direction === 0 ? up : down)) {
            progress?.ended.delete(offset);
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
        // The chunk that its last bytes are in ends here; a cut that ends before asks the file.
        endChunkAt(progress, progress.at);
        this.#drop(progress);
      }
    }
  }

  /** Of a stream that has ended nothing is kept but chunks that no cut covers yet. */
  #drop(progress: Progress | undefined): void {
    if (progress?.isClosed && progress.ended.size === 0) {
      this.#streams.delete(keyOf(progress.stream, progress.direction));
    }
  }

  #addPart(progress: Progress, part: Uint8Array): void {
    for (let done = 0; done < part.length; ) {
      const boundary = boundaryFrom(progress.at + 1);
      progress.chunk ??= this.#begin(progress);
      const length = Math.min(part.length - done, boundary - progress.at);
      progress.chunk?.hash.update(part.subarray(done, done + length));
      done += length;
      progress.at += length;
      if (progress.at === boundary) {
        endChunkAt(progress, boundary);
      }
    }
  }

  #begin({ stream, direction, at, from }: Progress): Progress['chunk'] {
    return at === from
      ? { offset: at, hash: startLeaf(this.#saltKey, { stream, direction, offset: at }) }
      : undefined;
  }

  #progress(stream: number, direction: Direction): Progress {
    const key = keyOf(stream, direction);
    let progress = this.#streams.get(key);
    if (progress === undefined) {
      const ended: Progress['ended'] = new Map();
      progress = { stream, direction, at: 0, chunk: undefined, from: 0, ended, isClosed: false };
      this.#streams.set(key, progress);
    }
    return progress;
  }
}

/** A chunk ends here, if the one in work does not begin behind it. */
function endChunkAt(progress: Progress, end: number): void {
  const { at, chunk } = progress;
  if (end === at) {
    if (chunk !== undefined) {
      const { offset, hash } = chunk;
      progress.ended.set(offset, { length: at - offset, hash, leaf: undefined });
    }
    progress.chunk = undefined;
    progress.from = at;
  } else if (chunk !== undefined && chunk.offset < end) {
    // Its hash has gone past the end.
    progress.chunk = undefined;
    progress.from = boundaryFrom(at);
  }
}

/** The first multiple of a chunk's length at or after `offset`. */
function boundaryFrom(offset: number): number {
  return Math.ceil(offset / CHUNK_BYTES) * CHUNK_BYTES;
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
