/**
 * Where chunks begin and end, and their leaves. Boundaries depend on the stream and on the cuts,
 * never on timing, so that two recorders of the same bytes get the same leaves:
 *
 *     salt = HMAC-SHA256(K, "hoop/salt/v2\0" ‖ u32 stream ‖ u8 dir ‖ u64 offset)[0:16]
 *     leaf = SHA256(0x00 ‖ "hoop/chunk/v2\0" ‖ salt ‖ u32 stream ‖ u8 dir ‖ u64 offset
 *                   ‖ bytes ‖ u32 epoch ‖ u32 length)
 *
 * The salt stops whoever sees a proof from guessing short rows. Epoch and length are at the end, so
 * that a hash can run while bytes pass, and be closed wherever a cut turns out to end.
 */
import { createHash, createHmac, type Hash, type KeyObject } from 'node:crypto';
import { FormatError } from '../../format-error.ts';
import { DATA_PREFIX_LENGTH, encodeDataPrefix } from './data-body.ts';
import { utf8 } from './encoding.ts';
import type { Direction, StreamOffsets } from './types.ts';

/** A chunk never crosses a multiple of this in its own stream and direction. */
export const CHUNK_BYTES = 65_536;

/**
 * In bulk, cuts are made at multiples of this in the stream: at the end of a chunk, whatever has come
 * behind it already, so that each side has hashed it as it passed. A multiple of a chunk.
 */
export const CUT_STEP_BYTES = 8 << 20;

const SALT_LENGTH = 16;

const SALT_CONTEXT = utf8('hoop/salt/v2\0');
const LEAF_CONTEXT = Buffer.concat([Uint8Array.of(0x00), utf8('hoop/chunk/v2\0')]);
/** Context, salt, where the chunk begins as in a DATA frame. */
const LEAF_HEAD_LENGTH = LEAF_CONTEXT.length + SALT_LENGTH + DATA_PREFIX_LENGTH;
/** u32 epoch, u32 length. */
const LEAF_END_LENGTH = 8;

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
  return finishLeaf(leaf, place);
}

/** The hash of a leaf up to the bytes of its chunk, wherever that will end. */
export function startLeaf(
  saltKey: KeyObject,
  { stream, direction, offset }: Pick<ChunkPlace, 'stream' | 'direction' | 'offset'>,
): Hash {
  const position = encodeDataPrefix(stream, direction, offset);
  // Digests by way of a string, and one buffer: this runs for each 64 KiB of a stream.
  const salt = createHmac('sha256', saltKey)
    .update(Buffer.concat([SALT_CONTEXT, position]))
    .digest('binary');
  const head = Buffer.allocUnsafe(LEAF_HEAD_LENGTH);
  head.set(LEAF_CONTEXT);
  const at =
    LEAF_CONTEXT.length + head.write(salt.slice(0, SALT_LENGTH), LEAF_CONTEXT.length, 'latin1');
  head.set(position, at);
  return createHash('sha256').update(head);
}

/**
 * @param hash of `startLeaf`, with the chunk's bytes; it takes no more
 * @returns the leaf. By way of a string: a buffer of its own costs Node more.
 */
export function finishLeaf(
  hash: Hash,
  { epoch, length }: Pick<ChunkPlace, 'epoch' | 'length'>,
): Uint8Array {
  const end = Buffer.allocUnsafe(LEAF_END_LENGTH);
  end.writeUInt32BE(length, end.writeUInt32BE(epoch, 0));
  return Buffer.from(hash.update(end).digest('binary'), 'latin1');
}

/** For people: `stream 2 down @2621440`. */
export function describePlace(place: ChunkPlace): string {
  return `stream ${place.stream} ${place.direction === 0 ? 'up' : 'down'} @${place.offset}`;
}
