/**
 * What the gateway's disk has lost and the client still has in memory is sent back after a crash of
 * the gateway. Each piece is a REPAIR frame, behind all that the gateway has of its stream:
 *
 *     u32 stream | u8 direction | u64 offset | u64 t_ms | signature [64] | bytes
 *
 *     signature = Ed25519(session key, "hoop/repair/v2\0" ‖ session id [16] ‖ u32 stream
 *         ‖ u8 direction ‖ u64 offset ‖ u64 t_ms ‖ u32 length ‖ SHA256(bytes))
 *
 * A client can invent such bytes. They are its word, marked as such wherever they are shown; no cut
 * covers them, the gateway signs only that it was given them, and no search, index or count reads them.
 */
import { FormatError } from '../../format-error.ts';
import { sessionIdBytes } from '../../session-id.ts';
import { ByteReader } from '../formats/byte-reader.ts';
import { ByteWriter } from '../formats/byte-writer.ts';
import { utf8 } from '../formats/encoding.ts';
import { MAX_DATA_LENGTH } from '../formats/frame.ts';
import { type LostRange, sha256 } from '../formats/manifest.ts';
import { HASH_LENGTH } from '../formats/merkle-tree.ts';
import { type Direction, DOWN } from '../formats/types.ts';
import { SIGNATURE_LENGTH, type SigningKey, signEd25519, verifyEd25519 } from '../keys/ed25519.ts';

/** Of one session: as much as a gateway lets pass without a cut. */
export const MAX_REPAIR_BYTES = 16 << 20;
const CONTEXT = utf8('hoop/repair/v2\0');
const PLACE_LENGTH = 4 + 1 + 8 + 8;
const HEAD_LENGTH = PLACE_LENGTH + SIGNATURE_LENGTH;
/** One for each direction of a stream that lost something, and one more for each MiB: each costs a signature, and a frame. */
export const MAX_REPAIR_PIECES = 1024;
/** Room for what stands before the bytes of so many. */
export const MAX_REPAIR_REQUEST = MAX_REPAIR_BYTES + (1 << 20);

export interface RepairPiece {
  readonly stream: number;
  readonly direction: Direction;
  /** Of the first byte, in its stream and direction. */
  readonly offset: number;
  /** The client's clock. */
  readonly timeMs: number;
  readonly signature: Uint8Array;
  /** 1 byte to 1 MiB. */
  readonly bytes: Uint8Array;
}

export function signRepair(
  key: SigningKey,
  session: string,
  piece: Omit<RepairPiece, 'signature'>,
): RepairPiece {
  return { ...piece, signature: signEd25519(key, signingBytes(session, piece)) };
}

export function isRepairSignedBy(
  clientKey: Uint8Array,
  session: string,
  piece: RepairPiece,
): boolean {
  return verifyEd25519(clientKey, signingBytes(session, piece), piece.signature);
}

function signingBytes(session: string, piece: Omit<RepairPiece, 'signature'>): Uint8Array {
  return new ByteWriter(CONTEXT.length + 16 + PLACE_LENGTH + 4 + HASH_LENGTH)
    .bytes(CONTEXT)
    .bytes(sessionIdBytes(session))
    .u32(piece.stream)
    .u8(piece.direction)
    .u64(piece.offset)
    .u64(piece.timeMs)
    .u32(piece.bytes.length)
    .bytes(sha256(piece.bytes))
    .finish();
}

/** Body of a REPAIR frame. */
export function encodeRepairPiece(piece: RepairPiece): Uint8Array {
  return new ByteWriter(HEAD_LENGTH + piece.bytes.length)
    .u32(piece.stream)
    .u8(piece.direction)
    .u64(piece.offset)
    .u64(piece.timeMs)
    .bytes(piece.signature)
    .bytes(piece.bytes)
    .finish();
}

/** @throws FormatError */
export function decodeRepairPiece(body: Uint8Array): RepairPiece {
  const reader = new ByteReader(body, 'a repair');
  const stream = reader.u32();
  const direction = reader.u8();
  const offset = reader.u64();
  const timeMs = reader.u64();
  const signature = reader.bytes(SIGNATURE_LENGTH);
  const bytes = reader.rest();
  if (direction !== 0 && direction !== 1) {
    throw new FormatError('a repair has an unknown direction');
  }
  if (bytes.length === 0 || bytes.length > MAX_DATA_LENGTH) {
    throw new FormatError('a repair has a piece of a length that is not allowed');
  }
  if (!Number.isSafeInteger(offset + bytes.length)) {
    throw new FormatError('a repair has a number above 2^53');
  }
  return { stream, direction, offset, timeMs, signature, bytes };
}

/** What a client sends: `n × (u32 length | body)`, in order of stream, direction and offset. */
export function encodeRepair(pieces: readonly RepairPiece[]): Uint8Array {
  return Buffer.concat(
    pieces.flatMap((piece) => {
      const body = encodeRepairPiece(piece);
      return [new ByteWriter(4).u32(body.length).finish(), body];
    }),
  );
}

/** @throws FormatError */
export function decodeRepair(request: Uint8Array): RepairPiece[] {
  const reader = new ByteReader(request, 'a repair');
  const pieces: RepairPiece[] = [];
  while (reader.remaining > 0) {
    if (pieces.length === MAX_REPAIR_PIECES) {
      throw new FormatError(`a repair has more than ${MAX_REPAIR_PIECES} pieces`);
    }
    pieces.push(decodeRepairPiece(reader.bytes(reader.u32())));
  }
  if (pieces.length === 0) {
    throw new FormatError('a repair has no bytes');
  }
  return pieces;
}

/** The pieces of one session, each held against what the recording has and what was repaired before it. */
export class RepairedRanges {
  readonly #endOf: (stream: number, direction: Direction) => number;
  readonly #ranges: LostRange[] = [];
  #bytes = 0;

  /** @param endOf where the recording of a stream ends; 0 for one that it does not have */
  constructor(endOf: (stream: number, direction: Direction) => number) {
    this.#endOf = endOf;
  }

  get ranges(): readonly LostRange[] {
    return this.#ranges;
  }

  /** @throws FormatError */
  take({ stream, direction, offset, bytes }: RepairPiece): void {
    const last = this.#ranges.at(-1);
    const order =
      last === undefined ? 1 : keyOf(stream, direction) - keyOf(last.stream, last.direction);
    if (order < 0) {
      throw new FormatError('the pieces of a repair are not in order');
    }
    const isNext = order === 0 && last !== undefined;
    const end = isNext ? last.to : this.#endOf(stream, direction);
    const place = `stream ${stream} ${directionName(direction)}`;
    if (offset < end) {
      throw new FormatError(`a repair has bytes of ${place} that the recording has already`);
    }
    if (offset > end) {
      throw new FormatError(`a repair leaves a gap of ${offset - end} bytes in ${place}`);
    }
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_REPAIR_BYTES) {
      throw new FormatError(`a repair has more than ${MAX_REPAIR_BYTES} bytes`);
    }
    if (isNext) {
      this.#ranges.pop();
    }
    const from = isNext ? last.from : offset;
    this.#ranges.push({ stream, direction, from, to: offset + bytes.length });
  }
}

/** For people. */
export function lostText({ stream, direction, from, to }: LostRange): string {
  const place = `bytes ${from}–${to} of stream ${stream} ${directionName(direction)}`;
  // Of what was on its way up nobody knows whether it ever arrived.
  const why = direction === DOWN ? 'the gateway lost them' : 'the gateway does not have them';
  return `${place} are the client's word; ${why}`;
}

export function directionName(direction: Direction): 'up' | 'down' {
  return direction === DOWN ? 'down' : 'up';
}

export function sameRanges(left: readonly LostRange[], right: readonly LostRange[]): boolean {
  return (
    left.length === right.length &&
    left.every((range, index) => {
      const other = right[index];
      return (
        range.stream === other?.stream &&
        range.direction === other.direction &&
        range.from === other.from &&
        range.to === other.to
      );
    })
  );
}

function keyOf(stream: number, direction: Direction): number {
  return 2 * stream + direction;
}
