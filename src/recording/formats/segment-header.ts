/**
 * The first 100 bytes of a segment file, big-endian:
 *
 *     "HOOPREC2" | u16 version=2 | u16 flags | u32 header length=100 | session id [16]
 *     | u32 segment number | u32 term=1 | salt [16] | previous head [32] | u64 t0_ms | u32 crc32
 *
 * flags: bit 0 bodies are encrypted. term: which owner of the recording wrote the segment; there is
 * one so far. salt: random, so that no two segments ever have the same key, whatever became of the
 * first.
 */
import { crc32 } from 'node:zlib';
import { FormatError, OldFormatError } from '../../format-error.ts';
import { formatSessionId, sessionIdBytes } from '../../session-id.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { utf8 } from './encoding.ts';

export const SEGMENT_HEADER_LENGTH = 100;
export const SEGMENT_SALT_LENGTH = 16;

const MAGIC = utf8('HOOPREC2');
const OLD_MAGIC = utf8('HOOPREC1');
const VERSION = 2;
/** Of the first owner. */
const TERM = 1;
const CHECKSUM_AT = SEGMENT_HEADER_LENGTH - 4;
const FLAG_ENCRYPTED = 1;

export interface SegmentHeader {
  readonly session: string;
  /** From 1. */
  readonly segment: number;
  /** Random. */
  readonly salt: Uint8Array;
  /** Head of the segment before; zeros in the first. */
  readonly previousHead: Uint8Array;
  /** Wall clock at which this segment's `timeUs` is 0. */
  readonly startMs: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new ByteWriter(SEGMENT_HEADER_LENGTH)
    .bytes(MAGIC)
    .u16(VERSION)
    .u16(FLAG_ENCRYPTED)
    .u32(SEGMENT_HEADER_LENGTH)
    .bytes(sessionIdBytes(header.session))
    .u32(header.segment)
    .u32(TERM)
    .bytes(header.salt)
    .bytes(header.previousHead)
    .u64(header.startMs)
    .u32(0)
    .finish();
  new DataView(bytes.buffer).setUint32(CHECKSUM_AT, crc32(bytes.subarray(0, CHECKSUM_AT)));
  return bytes;
}

/** @param bytes the beginning of a file. @throws OldFormatError */
export function refuseOldFormat(bytes: Uint8Array): void {
  if (Buffer.compare(bytes.subarray(0, OLD_MAGIC.length), OLD_MAGIC) === 0) {
    throw new OldFormatError();
  }
}

/** @param bytes at least the header; what follows is not looked at. @throws FormatError */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader {
  refuseOldFormat(bytes);
  const reader = new ByteReader(bytes.subarray(0, SEGMENT_HEADER_LENGTH), 'a segment header');
  if (Buffer.compare(reader.bytes(8), MAGIC) !== 0) {
    throw new FormatError('not a recording segment');
  }
  const version = reader.u16();
  const flags = reader.u16();
  const length = reader.u32();
  const session = formatSessionId(reader.bytes(16));
  const segment = reader.u32();
  const term = reader.u32();
  const salt = reader.bytes(SEGMENT_SALT_LENGTH);
  const previousHead = reader.bytes(32);
  const startMs = reader.u64();
  if (reader.u32() !== crc32(bytes.subarray(0, CHECKSUM_AT))) {
    throw new FormatError('a segment header has a wrong checksum');
  }
  if (version !== VERSION || length !== SEGMENT_HEADER_LENGTH) {
    throw new FormatError(`a segment has format version ${version}, which is not known here`);
  }
  if (flags !== FLAG_ENCRYPTED) {
    throw new FormatError('a segment has flags that are not known here');
  }
  if (term !== TERM) {
    throw new FormatError('a segment was written by another owner, which is not known here');
  }
  // Also refuses ids that are not UUIDv7.
  sessionIdBytes(session);
  return {
    session,
    segment,
    salt,
    previousHead,
    startMs,
  };
}
