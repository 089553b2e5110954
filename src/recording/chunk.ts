/**
 * Where chunks begin and end, and their leaves. Boundaries depend on the stream and on the cuts,
 * never on timing, so that two recorders of the same bytes get the same leaves:
 *
 *     salt = HMAC-SHA256(K, "hoop/salt/v1\0" ‖ u32 stream ‖ u8 dir ‖ u64 offset)[0:16]
 *     leaf = SHA256(0x00 ‖ "hoop/chunk/v1\0" ‖ salt ‖ u32 epoch ‖ u32 stream ‖ u8 dir
 *                   ‖ u64 offset ‖ u32 length ‖ bytes)
 *
 * The salt stops whoever sees a proof from guessing short rows.
 */
import { createHash, createHmac, type Hash, type KeyObject } from 'node:crypto';
import { FormatError } from '../format-error.ts';
import { DATA_PREFIX_LENGTH, encodeDataPrefix } from './data-body.ts';
import { utf8 } from './encoding.ts';
import type { Direction, StreamOffsets } from './types.ts';

/** A chunk never crosses a multiple of this in its own stream and direction. */
export const CHUNK_BYTES = 65_536;

/**
 * In bulk, cuts are made at multiples of this in the stream, so that both sides know beforehand
 * which cut a byte will belong to and can hash it as it passes. A multiple of a chunk.
 */
export const CUT_STEP_BYTES = 8 << 20;

const SALT_LENGTH = 16;

const SALT_CONTEXT = utf8('hoop/salt/v1\0');
const LEAF_CONTEXT = Buffer.concat([Uint8Array.of(0x00), utf8('hoop/chunk/v1\0')]);
/** Context, salt, u32 epoch, where the chunk begins as in a DATA frame, u32 length. */
const LEAF_HEAD_LENGTH = LEAF_CONTEXT.length + SALT_LENGTH + 4 + DATA_PREFIX_LENGTH + 4;

export interface ChunkPlace {
  readonly epoch: number;
  readonly stream: number;
  readonly direction: Direction;
  readonly offset: number;
  readonly length: number;
}

/**
 * The chunks that a cut closes, in leaf order: by (stream, direction, offset).
 * @param from where each stream stood at the cut before; absent = 0.
 * @param to the streams that moved, by ascending number.
 * @throws FormatError when a stream goes back, comes twice or does not move
 */
export function chunksOfCut(
  epoch: number,
  from: ReadonlyMap<number, StreamOffsets>,
  to: readonly StreamOffsets[],
): ChunkPlace[] {
  const places: ChunkPlace[] = [];
  let previous = -1;
  for (const { stream, up, down } of to) {
    const start = from.get(stream) ?? { up: 0, down: 0 };
    if (stream <= previous) {
      throw new FormatError(`cut ${epoch} does not list its streams in order`);
    }
    if (![stream, up, down].every(Number.isSafeInteger)) {
      throw new FormatError(`cut ${epoch} has an offset that is not a whole number`);
    }
    if (up < start.up || down < start.down || (up === start.up && down === start.down)) {
      throw new FormatError(`cut ${epoch} does not move stream ${stream} forward`);
    }
    previous = stream;
    pushChunks(places, { epoch, stream, direction: 0 }, start.up, up);
    pushChunks(places, { epoch, stream, direction: 1 }, start.down, down);
  }
  return places;
}

function pushChunks(
  places: ChunkPlace[],
  place: Pick<ChunkPlace, 'epoch' | 'stream' | 'direction'>,
  from: number,
  to: number,
): void {
  for (let offset = from; offset < to; ) {
    const boundary = (Math.floor(offset / CHUNK_BYTES) + 1) * CHUNK_BYTES;
    const length = Math.min(boundary, to) - offset;
    places.push({ ...place, offset, length });
    offset += length;
  }
}

/** How many chunks `chunksOfCut` gives for one direction, without making them. */
export function countChunks(from: number, to: number): number {
  return from === to ? 0 : Math.ceil(to / CHUNK_BYTES) - Math.floor(from / CHUNK_BYTES);
}

/** @param parts the chunk's bytes in order; together exactly `place.length`. */
export function leafHash(
  saltKey: KeyObject,
  place: ChunkPlace,
  parts: Iterable<Uint8Array>,
): Uint8Array {
  const leaf = startLeaf(saltKey, place);
  let total = 0;
  for (const part of parts) {
    leaf.update(part);
    total += part.length;
  }
  if (total !== place.length) {
    throw new RangeError(`chunk has ${total} bytes, its place says ${place.length}`);
  }
  return finishLeaf(leaf);
}

/** The hash of a leaf up to the bytes of its chunk. */
export function startLeaf(saltKey: KeyObject, place: ChunkPlace): Hash {
  const { epoch, stream, direction, offset, length } = place;
  const position = encodeDataPrefix(stream, direction, offset);
  // Digests by way of a string, and one buffer: this runs for each 64 KiB of a stream.
  const salt = createHmac('sha256', saltKey)
    .update(Buffer.concat([SALT_CONTEXT, position]))
    .digest('binary');
  const head = Buffer.allocUnsafe(LEAF_HEAD_LENGTH);
  head.set(LEAF_CONTEXT);
  let at = LEAF_CONTEXT.length;
  at += head.write(salt.slice(0, SALT_LENGTH), at, 'latin1');
  at = head.writeUInt32BE(epoch, at);
  head.set(position, at);
  head.writeUInt32BE(length, at + position.length);
  return createHash('sha256').update(head);
}

/** @returns the leaf. By way of a string: a buffer of its own costs Node more. */
export function finishLeaf(hash: Hash): Uint8Array {
  return Buffer.from(hash.digest('binary'), 'latin1');
}

/** For people: `stream 2 down @2621440`. */
export function describePlace(place: ChunkPlace): string {
  return `stream ${place.stream} ${place.direction === 0 ? 'up' : 'down'} @${place.offset}`;
}
