/**
 * The first 80 bytes of a segment file, big-endian:
 *
 *     "HOOPREC1" | u16 version=1 | u16 flags | u32 header length=80 | session id [16]
 *     | u32 segment number | previous head [32] | u64 t0_ms | u32 crc32
 *
 * flags: bit 0 bodies are encrypted, bit 1 the client's own recording.
 */
import { crc32 } from 'node:zlib';
import { FormatError } from '../format-error.ts';
import { formatSessionId, sessionIdBytes } from '../session-id.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { utf8 } from './encoding.ts';

export const SEGMENT_HEADER_LENGTH = 80;

const MAGIC = utf8('HOOPREC1');
const VERSION = 1;
const FLAG_ENCRYPTED = 1;
const FLAG_CLIENT = 2;

export type RecordingSide = 'gateway' | 'client';

export interface SegmentHeader {
  readonly side: RecordingSide;
  readonly session: string;
  /** From 1. */
  readonly segment: number;
  /** Head of the segment before; zeros in the first. */
  readonly previousHead: Uint8Array;
  /** Wall clock at which this segment's `timeUs` is 0. */
  readonly startMs: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new ByteWriter(SEGMENT_HEADER_LENGTH)
    .bytes(MAGIC)
    .u16(VERSION)
    .u16(FLAG_ENCRYPTED | (header.side === 'client' ? FLAG_CLIENT : 0))
    .u32(SEGMENT_HEADER_LENGTH)
    .bytes(sessionIdBytes(header.session))
    .u32(header.segment)
    .bytes(header.previousHead)
    .u64(header.startMs)
    .u32(0)
    .finish();
  new DataView(bytes.buffer).setUint32(76, crc32(bytes.subarray(0, 76)));
  return bytes;
}

/** @param bytes at least the header; what follows is not looked at. @throws FormatError */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader {
  const reader = new ByteReader(bytes.subarray(0, SEGMENT_HEADER_LENGTH), 'a segment header');
  if (Buffer.compare(reader.bytes(8), MAGIC) !== 0) {
    throw new FormatError('not a recording segment');
  }
  const version = reader.u16();
  const flags = reader.u16();
  const length = reader.u32();
  const session = formatSessionId(reader.bytes(16));
  const segment = reader.u32();
  const previousHead = reader.bytes(32);
  const startMs = reader.u64();
  if (reader.u32() !== crc32(bytes.subarray(0, 76))) {
    throw new FormatError('a segment header has a wrong checksum');
  }
  if (version !== VERSION || length !== SEGMENT_HEADER_LENGTH) {
    throw new FormatError(`a segment has format version ${version}, which is not known here`);
  }
  if ((flags & FLAG_ENCRYPTED) === 0 || (flags & ~(FLAG_ENCRYPTED | FLAG_CLIENT)) !== 0) {
    throw new FormatError('a segment has flags that are not known here');
  }
  // Also refuses ids that are not UUIDv7.
  sessionIdBytes(session);
  return {
    side: (flags & FLAG_CLIENT) === 0 ? 'gateway' : 'client',
    session,
    segment,
    previousHead,
    startMs,
  };
}
