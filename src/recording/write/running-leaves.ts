/**
 * The client's chunks, hashed once, as their bytes pass. A hash that runs on can be closed anywhere
 * by closing a copy of it, so the leaf up to the last byte is known before that byte goes on.
 */
import type { Hash, KeyObject } from 'node:crypto';
import { CHUNK_BYTES, type ChunkPlace, finishLeaf, leafHash, startLeaf } from '../formats/chunk.ts';
import { HASH_LENGTH } from '../formats/merkle-tree.ts';
import type { Direction, StreamOffsets } from '../formats/types.ts';
import { SpareBlocks, UncutBytes } from './uncut-bytes.ts';

/** A chunk as far as it has come, and its leaf if the next cut ends there. */
export interface LeafPoint {
  readonly place: ChunkPlace;
  /** 32 bytes. */
  readonly leaf: Uint8Array;
}

interface Chunk {
  readonly offset: number;
  length: number;
  /** Of all its bytes; never finished itself. */
  readonly hash: Hash;
  leaf: LeafPoint | undefined;
}

interface Track {
  readonly stream: number;
  readonly direction: Direction;
  at: number;
  /** Beyond the last cut that was proposed, one behind the other; only the last may still grow. */
  chunks: Chunk[];
  /** From which of them on `points` has to look. */
  unwritten: number;
  readonly bytes: UncutBytes;
  isClosed: boolean;
}

export class RunningLeaves {
  readonly #saltKey: KeyObject;
  readonly #tracks = new Map<number, Track>();
  readonly #moved = new Set<Track>();
  readonly #spare = new SpareBlocks();

  constructor(saltKey: KeyObject) {
    this.#saltKey = saltKey;
  }

  /** Whether there is something for `points`. */
  get hasMoved(): boolean {
    return this.#moved.size > 0;
  }

  /** The next bytes of a stream; they may change afterwards. */
  add(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    const track = this.#track(stream, direction);
    for (const part of parts) {
      track.bytes.add(part);
      this.#hash(track, part);
    }
    this.#moved.add(track);
  }

  /** The leaves that have changed since the last call, under the number of the cut that comes next. */
  points(epoch: number): LeafPoint[] {
    const points: LeafPoint[] = [];
    for (const track of this.#moved) {
      for (const chunk of track.chunks.slice(track.unwritten)) {
        const { length } = chunk;
        if (chunk.leaf?.place.epoch !== epoch || chunk.leaf.place.length !== length) {
          chunk.leaf = this.#close(track, chunk, epoch);
          points.push(chunk.leaf);
        }
      }
      track.unwritten = Math.max(0, track.chunks.length - 1);
    }
    this.#moved.clear();
    return points;
  }

  /**
   * 32 bytes for each, in order.
   * @throws RangeError for a chunk that is neither as it was hashed nor in memory
   */
  leaves(places: readonly ChunkPlace[]): Uint8Array {
    const leaves = new Uint8Array(places.length * HASH_LENGTH);
    for (const [index, place] of places.entries()) {
      leaves.set(this.#leaf(place), index * HASH_LENGTH);
    }
    return leaves;
  }

  /** A cut goes up to here: what comes behind it begins a chunk, and belongs to the next one. */
  cutAt(streams: readonly StreamOffsets[]): void {
    // The others belong to the next one as well, under another number than their leaves have.
    const ends = new Map(streams.map((offsets) => [offsets.stream, offsets]));
    for (const track of this.#tracks.values()) {
      const offsets = ends.get(track.stream);
      const end = (track.direction === 0 ? offsets?.up : offsets?.down) ?? 0;
      track.chunks = track.chunks.flatMap((chunk) => this.#behind(track, chunk, end));
      track.unwritten = 0;
      if (track.chunks.length > 0) {
        this.#moved.add(track);
      }
    }
  }

  /** A cut that goes up to here is agreed on. */
  forget(streams: readonly StreamOffsets[]): void {
    for (const { stream, up, down } of streams) {
      for (const direction of [0, 1] as const) {
        const track = this.#tracks.get(keyOf(stream, direction));
        track?.bytes.forget(direction === 0 ? up : down);
        this.#drop(track);
      }
    }
    if ([...this.#tracks.values()].every(({ bytes }) => bytes.isEmpty)) {
      this.#spare.clear();
    }
  }

  /** No more bytes of this stream come. */
  close(stream: number): void {
    for (const direction of [0, 1] as const) {
      const track = this.#tracks.get(keyOf(stream, direction));
      if (track !== undefined) {
        track.isClosed = true;
        this.#drop(track);
      }
    }
  }

  /** @throws RangeError for what an agreed cut covers, and what has not come */
  bytes(stream: number, direction: Direction, from: number, to: number): Uint8Array[] {
    return this.#track(stream, direction).bytes.read(from, to);
  }

  #hash(track: Track, part: Uint8Array): void {
    for (let done = 0; done < part.length; ) {
      const chunk = this.#growing(track);
      const room = CHUNK_BYTES - (track.at % CHUNK_BYTES);
      const piece = done === 0 && part.length <= room ? part : part.subarray(done, done + room);
      chunk.hash.update(piece);
      chunk.length += piece.length;
      track.at += piece.length;
      done += piece.length;
    }
  }

  #growing(track: Track): Chunk {
    const last = track.chunks.at(-1);
    if (last !== undefined && (last.offset + last.length) % CHUNK_BYTES !== 0) {
      return last;
    }
    const { stream, direction, at } = track;
    const hash = startLeaf(this.#saltKey, { stream, direction, offset: at });
    const chunk = { offset: at, length: 0, hash, leaf: undefined };
    track.chunks.push(chunk);
    return chunk;
  }

  #close({ stream, direction }: Track, chunk: Chunk, epoch: number): LeafPoint {
    const { offset, length, hash } = chunk;
    const place = { epoch, stream, direction, offset, length };
    return { place, leaf: finishLeaf(hash.copy(), place) };
  }

  #leaf(place: ChunkPlace): Uint8Array {
    const { stream, direction, offset, length, epoch } = place;
    const track = this.#track(stream, direction);
    const first = track.chunks[0]?.offset ?? 0;
    const chunk = track.chunks[chunkNumber(offset) - chunkNumber(first)];
    if (chunk?.offset !== offset || chunk.length !== length) {
      return leafHash(this.#saltKey, place, track.bytes.read(offset, offset + length));
    }
    if (chunk.leaf?.place.epoch !== epoch || chunk.leaf.place.length !== length) {
      return this.#close(track, chunk, epoch).leaf;
    }
    return chunk.leaf.leaf;
  }

  #behind(track: Track, chunk: Chunk, end: number): Chunk[] {
    if (chunk.offset >= end) {
      return [chunk];
    }
    const { stream, direction, bytes } = track;
    const to = chunk.offset + chunk.length;
    if (to <= end) {
      return [];
    }
    const hash = startLeaf(this.#saltKey, { stream, direction, offset: end });
    for (const part of bytes.read(end, to)) {
      hash.update(part);
    }
    return [{ offset: end, length: to - end, hash, leaf: undefined }];
  }

  /** Of a stream that has ended nothing is kept when it is covered. */
  #drop(track: Track | undefined): void {
    if (track?.isClosed && track.bytes.isEmpty) {
      this.#tracks.delete(keyOf(track.stream, track.direction));
    }
  }

  #track(stream: number, direction: Direction): Track {
    const key = keyOf(stream, direction);
    let track = this.#tracks.get(key);
    if (track === undefined) {
      const bytes = new UncutBytes(this.#spare);
      const start = { at: 0, chunks: [], unwritten: 0, bytes, isClosed: false };
      track = { stream, direction, ...start };
      this.#tracks.set(key, track);
    }
    return track;
  }
}

function chunkNumber(offset: number): number {
  return Math.floor(offset / CHUNK_BYTES);
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
