/**
 * Hashes chunks while their bytes are recorded, so that they are hashed once, where they pass anyway,
 * and never read back. Which cut a chunk belongs to is the last thing that goes into its leaf, so
 * nothing is assumed: a chunk ends at its boundary, or where a cut ends.
 *
 * A cut ends behind what has come, since the client has not seen all of it when it proposes one. So
 * the chunk that short messages make is kept as bytes and hashed when it ends: it can be parted
 * anywhere, and one hash of it all costs less than one for each message. What comes in large pieces
 * is hashed at once; where a cut parts such a chunk, both parts are hashed from the file.
 */
import type { Hash, KeyObject } from 'node:crypto';
import { ByteBudget } from '../../byte-budget.ts';
import { CHUNK_BYTES, type ChunkPlace, finishLeaf, startLeaf } from '../formats/chunk.ts';
import type { Direction, StreamOffsets } from '../formats/types.ts';

/** Pieces of so much are hashed at once: a copy of them costs more than it spares. */
const LARGE_PIECE = 8 * 1024;
const LEAST_KEPT_BYTES = 1024;
/** Kept by one recording, and by all of the process. Without room pieces are hashed at once. */
const KEPT_BYTES = 2 * 1024 * 1024;
const ALL_KEPT = new ByteBudget(64 * 1024 * 1024);

/** The chunk in work. Without a hash its bytes are kept. */
interface Chunk {
  readonly offset: number;
  readonly hash: Hash | undefined;
}

interface Progress {
  readonly stream: number;
  readonly direction: Direction;
  /** Bytes seen so far. */
  at: number;
  /** Undefined: it begins when the bytes reach `from`. */
  chunk: Chunk | undefined;
  from: number;
  /** Of a chunk that is kept, from its offset on; what is behind `at` is free. */
  kept: Buffer;
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

const NOTHING = Buffer.alloc(0);

export class LeafAhead {
  readonly #saltKey: KeyObject;
  readonly #streams = new Map<number, Progress>();
  readonly #budget: ByteBudget;

  constructor(saltKey: KeyObject, budget = new ByteBudget(KEPT_BYTES, ALL_KEPT)) {
    this.#saltKey = saltKey;
    this.#budget = budget;
  }

  /** The next bytes of a stream; they may change afterwards. */
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
          this.#endChunkAt(progress, direction === 0 ? up : down);
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
        this.#endChunkAt(progress, progress.at);
        this.#drop(progress);
      }
    }
  }

  /** The recording is closed: what is not agreed on yet is hashed from its files. */
  [Symbol.dispose](): void {
    for (const progress of this.#streams.values()) {
      this.#resize(progress, 0);
    }
    this.#streams.clear();
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
      const length = Math.min(part.length - done, boundary - progress.at);
      this.#addPiece(progress, length === part.length ? part : part.subarray(done, done + length));
      done += length;
      progress.at += length;
      if (progress.at === boundary) {
        this.#endChunkAt(progress, boundary);
      }
    }
  }

  /** @param piece of one chunk */
  #addPiece(progress: Progress, piece: Uint8Array): void {
    if (progress.chunk === undefined) {
      if (progress.at !== progress.from) {
        return;
      }
      progress.chunk = { offset: progress.at, hash: undefined };
    }
    const { offset, hash } = progress.chunk;
    if (hash !== undefined) {
      hash.update(piece);
      return;
    }
    const length = progress.at - offset;
    if (piece.length < LARGE_PIECE && this.#hasRoom(progress, length + piece.length)) {
      progress.kept.set(piece, length);
      return;
    }
    const running = this.#hashKept(progress, offset, length).update(piece);
    progress.chunk = { offset, hash: running };
    this.#resize(progress, 0);
  }

  /** A chunk ends here, if the one in work does not begin behind it. */
  #endChunkAt(progress: Progress, end: number): void {
    const { at, chunk } = progress;
    if (chunk === undefined) {
      if (end === at) {
        progress.from = at;
        this.#resize(progress, 0);
      }
      return;
    }
    const { offset, hash } = chunk;
    if (end <= offset || end > at) {
      return;
    }
    if (hash === undefined) {
      const whole = this.#hashKept(progress, offset, end - offset);
      progress.ended.set(offset, { length: end - offset, hash: whole, leaf: undefined });
      progress.kept.copyWithin(0, end - offset, at - offset);
      progress.chunk = end === at ? undefined : { offset: end, hash: undefined };
      progress.from = end;
    } else {
      // Beyond the end its hash is of no use.
      if (end === at) {
        progress.ended.set(offset, { length: end - offset, hash, leaf: undefined });
      }
      progress.chunk = undefined;
      progress.from = end === at ? at : boundaryFrom(at);
    }
    // Who goes on has filled it; who has come to an end holds none.
    if (end === at && at % CHUNK_BYTES !== 0) {
      this.#resize(progress, 0);
    }
  }

  #hashKept({ stream, direction, kept }: Progress, offset: number, length: number): Hash {
    const hash = startLeaf(this.#saltKey, { stream, direction, offset });
    return length === 0 ? hash : hash.update(kept.subarray(0, length));
  }

  /** Memory for so many bytes of the chunk in work. @returns false when there is none left */
  #hasRoom(progress: Progress, bytes: number): boolean {
    if (bytes <= progress.kept.length) {
      return true;
    }
    const more = Math.max(LEAST_KEPT_BYTES, bytes, 2 * progress.kept.length);
    return this.#resize(progress, Math.min(CHUNK_BYTES, more));
  }

  #resize(progress: Progress, length: number): boolean {
    if (!this.#budget.take(length - progress.kept.length)) {
      return false;
    }
    const { kept } = progress;
    // Not of the pool, which is shared with what is gone sooner.
    progress.kept = length === 0 ? NOTHING : Buffer.allocUnsafeSlow(length);
    progress.kept.set(kept.subarray(0, length));
    return true;
  }

  #progress(stream: number, direction: Direction): Progress {
    const key = keyOf(stream, direction);
    let progress = this.#streams.get(key);
    if (progress === undefined) {
      progress = {
        ...{ stream, direction, at: 0, chunk: undefined, from: 0, kept: NOTHING },
        ...{ ended: new Map(), isClosed: false },
      };
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
