/**
 * Frames, big-endian:
 *
 *     u32 length | u8 type | u8 flags | u16 0 | u64 seq | u64 t_us | digest [32]
 *     | u32 crc32 of the 56 before | body [length]
 *
 * The body is AES-256-GCM ciphertext ‖ tag [16]: key per segment, nonce `u32 segment ‖ u64 seq`,
 * AAD the 60 bytes before it. seq counts over all segments of a session, and a segment is never
 * appended to again once it was closed or found torn, so no nonce comes twice. The digest
 * (frame-digest.ts) is in the clear: what the head chain covers can be computed without the key.
 *
 * The checksum says that a length can be believed, the tag finds what was not written by us, and
 * only the head chain (head-chain.ts) finds frames that were taken out or put in another order.
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { crc32 } from 'node:zlib';
import { FormatError } from '../../format-error.ts';
import { ByteReader } from './byte-reader.ts';

export const FRAME_HEADER_LENGTH = 60;
/** What of the header goes into the head chain: all before the checksum. */
export const CHAINED_HEADER_LENGTH = 56;
const DIGEST_AT = 24;
export const TAG_LENGTH = 16;
/** Of the bytes of one DATA record. */
export const MAX_DATA_LENGTH = 1 << 20;
/** Of a body as it is stored, tag included. */
export const MAX_BODY_LENGTH = MAX_DATA_LENGTH + (64 << 10);

export const FRAME_TYPES = {
  data: 1,
  event: 2,
  cut: 3,
  gap: 4,
  recovered: 5,
  group: 6,
  /** Bytes that the gateway has lost and the client has sent back: repair.ts. */
  repair: 7,
  end: 127,
} as const;
export type FrameType = keyof typeof FRAME_TYPES;

const TYPE_NAMES: ReadonlyMap<number, FrameType> = new Map(
  // The keys of a const object are its key type; Object.entries only knows string.
  Object.entries(FRAME_TYPES).map(([name, code]) => [code, name as FrameType]),
);
const FLAG_ENCRYPTED = 1;

export interface FrameHeader {
  readonly type: FrameType;
  /** Of the stored body, tag included. */
  readonly bodyLength: number;
  /** From 0, over all segments. */
  readonly seq: number;
  /** Monotonic microseconds since the segment's start. */
  readonly timeUs: number;
  /** Of what the frame holds: frame-digest.ts. */
  readonly digest: Uint8Array;
}

/**
 * HKDF-SHA256(data key, salt the segment's header, info "seg" ‖ u32 segment).
 * @param segmentHeader its bytes
 */
export function segmentKey(
  dataKey: Uint8Array,
  segment: number,
  segmentHeader: Uint8Array,
): KeyObject {
  const info = Buffer.from('seg\0\0\0\0');
  info.writeUInt32BE(segment, 3);
  return createSecretKey(Buffer.from(hkdfSync('sha256', dataKey, segmentHeader, info, 32)));
}

export function encodeFrameHeader(header: FrameHeader): Uint8Array {
  const bytes = Buffer.alloc(FRAME_HEADER_LENGTH);
  writeFrameHeader(bytes, header);
  return bytes;
}

/** The four parts of one frame, to be written one after the other. */
export interface SealedFrame {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
  readonly header: Uint8Array;
}

/** Below this, copying the body into one buffer costs less than handling its parts one by one. */
const COPY_BELOW = 8192;

/**
 * Encrypts one frame. `body` is taken in parts so that 64 KiB of data need no copy.
 * @param header without the length, which follows from the body
 * @param cipher of `frameCipher` for this key, segment and seq, not used before
 */
export function sealFrame(
  key: KeyObject,
  segment: number,
  header: Omit<FrameHeader, 'bodyLength'>,
  body: readonly Uint8Array[],
  cipher: CipherGCM = frameCipher(key, segment, header.seq),
): SealedFrame {
  let plainLength = 0;
  for (const part of body) {
    plainLength += part.length;
  }
  const bodyLength = plainLength + TAG_LENGTH;
  if (bodyLength > MAX_BODY_LENGTH) {
    throw new RangeError(`a frame body of ${plainLength} bytes is above the limit`);
  }
  return plainLength < COPY_BELOW
    ? sealSmall(cipher, { ...header, bodyLength }, body)
    : sealLarge(cipher, { ...header, bodyLength }, body);
}

/** For one frame: it may be made before it is known what the frame will hold. */
export function frameCipher(key: KeyObject, segment: number, seq: number): CipherGCM {
  return createCipheriv('aes-256-gcm', key, nonceFor(segment, seq));
}

function sealSmall(
  cipher: CipherGCM,
  header: FrameHeader,
  body: readonly Uint8Array[],
): SealedFrame {
  const length = FRAME_HEADER_LENGTH + header.bodyLength;
  const frame = Buffer.allocUnsafe(length);
  writeFrameHeader(frame, header);
  cipher.setAAD(frame.subarray(0, FRAME_HEADER_LENGTH));
  const plain = body.length === 1 && body[0] !== undefined ? body[0] : Buffer.concat(body);
  frame.set(cipher.update(plain), FRAME_HEADER_LENGTH);
  cipher.final();
  frame.set(cipher.getAuthTag(), length - TAG_LENGTH);
  return { parts: [frame], length, header: frame.subarray(0, FRAME_HEADER_LENGTH) };
}

function sealLarge(
  cipher: CipherGCM,
  header: FrameHeader,
  body: readonly Uint8Array[],
): SealedFrame {
  const head = encodeFrameHeader(header);
  cipher.setAAD(head);
  const parts = [head, ...body.map((part) => cipher.update(part))];
  cipher.final();
  parts.push(cipher.getAuthTag());
  return { parts, length: FRAME_HEADER_LENGTH + header.bodyLength, header: head };
}

/** @param bytes at least the 60 bytes of the header. @throws FormatError */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const reader = new ByteReader(bytes.subarray(0, FRAME_HEADER_LENGTH), 'a frame header');
  const bodyLength = reader.u32();
  const type = TYPE_NAMES.get(reader.u8());
  const flags = reader.u8();
  const reserved = reader.u16();
  const seq = reader.u64();
  const timeUs = reader.u64();
  const digest = Uint8Array.from(reader.bytes(CHAINED_HEADER_LENGTH - DIGEST_AT));
  if (reader.u32() !== crc32(bytes.subarray(0, CHAINED_HEADER_LENGTH))) {
    throw new FormatError('a frame header has a wrong checksum');
  }
  if (bodyLength < TAG_LENGTH || bodyLength > MAX_BODY_LENGTH) {
    throw new FormatError('a frame has a length that is not allowed');
  }
  if (type === undefined || flags !== FLAG_ENCRYPTED || reserved !== 0) {
    throw new FormatError('a frame has a type or flags that are not known here');
  }
  return { type, bodyLength, seq, timeUs, digest };
}

/** Stored length of the whole frame. */
export function frameLength(header: FrameHeader): number {
  return FRAME_HEADER_LENGTH + header.bodyLength;
}

/**
 * Decrypts the body of a whole frame.
 * @throws FormatError when it was not written with this key, in this segment, at this seq
 */
export function openFrame(
  key: KeyObject,
  segment: number,
  header: FrameHeader,
  frame: Uint8Array,
): Uint8Array {
  if (frame.length !== frameLength(header)) {
    throw new FormatError(`frame ${header.seq} is not whole`);
  }
  const end = FRAME_HEADER_LENGTH + header.bodyLength - TAG_LENGTH;
  const decipher = createDecipheriv('aes-256-gcm', key, nonceFor(segment, header.seq), {
    authTagLength: TAG_LENGTH,
  });
  decipher.setAAD(frame.subarray(0, FRAME_HEADER_LENGTH));
  decipher.setAuthTag(frame.subarray(end, end + TAG_LENGTH));
  const plain = decipher.update(frame.subarray(FRAME_HEADER_LENGTH, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new FormatError(`frame ${header.seq} was altered`, { cause });
  }
  return plain;
}

function nonceFor(segment: number, seq: number): Uint8Array {
  const nonce = Buffer.allocUnsafe(12);
  nonce.writeUInt32BE(segment, 0);
  writeU64(nonce, seq, 4);
  return nonce;
}

function writeFrameHeader(bytes: Buffer, header: FrameHeader): void {
  bytes.writeUInt32BE(header.bodyLength, 0);
  bytes.writeUInt8(FRAME_TYPES[header.type], 4);
  bytes.writeUInt8(FLAG_ENCRYPTED, 5);
  bytes.writeUInt16BE(0, 6);
  writeU64(bytes, header.seq, 8);
  writeU64(bytes, header.timeUs, 16);
  bytes.set(header.digest, DIGEST_AT);
  const checksum = crc32(bytes.subarray(0, CHAINED_HEADER_LENGTH));
  bytes.writeUInt32BE(checksum, CHAINED_HEADER_LENGTH);
}

/** Two halves instead of a BigInt: this runs for every frame. */
function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}
