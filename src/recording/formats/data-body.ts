/** Body of a DATA frame: `u32 stream | u8 direction | u64 offset | bytes`. */

import { FormatError } from '../../format-error.ts';
import { ByteReader } from './byte-reader.ts';
import type { Direction } from './types.ts';

export const DATA_PREFIX_LENGTH = 13;

export interface DataBody {
  readonly stream: number;
  readonly direction: Direction;
  /** Of the first byte, in its stream and direction. */
  readonly offset: number;
  /** A view of the body. */
  readonly bytes: Uint8Array;
}

export function encodeDataPrefix(stream: number, direction: Direction, offset: number): Uint8Array {
  const prefix = Buffer.allocUnsafe(DATA_PREFIX_LENGTH);
  writeDataPrefix(prefix, 0, stream, direction, offset);
  return prefix;
}

export function writeDataPrefix(
  bytes: Buffer,
  at: number,
  stream: number,
  direction: Direction,
  offset: number,
): void {
  bytes.writeUInt32BE(stream, at);
  bytes.writeUInt8(direction, at + 4);
  // Two halves instead of a BigInt: this runs for every frame.
  bytes.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), at + 5);
  bytes.writeUInt32BE(offset >>> 0, at + 9);
}

/** @throws FormatError */
export function decodeDataBody(body: Uint8Array): DataBody {
  const reader = new ByteReader(body, 'a data frame');
  const stream = reader.u32();
  const direction = reader.u8();
  const offset = reader.u64();
  if (direction !== 0 && direction !== 1) {
    throw new FormatError('a data frame has an unknown direction');
  }
  return { stream, direction, offset, bytes: reader.rest() };
}
