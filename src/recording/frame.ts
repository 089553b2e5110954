/**
 * Frames, big-endian:
 *
 *     u32 length | u8 type | u8 flags | u16 0 | u64 seq | u64 t_us
 *     | body [length] | u32 crc32 of all before
 *
 * The body is AES-256-GCM ciphertext ‖ tag [16]: key per segment, nonce `u32 segment ‖ u64 seq`,
 * AAD the 24 bytes before it. seq counts over all segments of a session, and a segment is never
 * appended to again once it was closed or found torn, so no nonce comes twice.
 *
 * The checksum finds torn writes, the tag finds what was not written by us, and only the head
 * chain (head-chain.ts) finds frames that were taken out or put in another order.
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
import { FormatError } from '../format-error.ts';
import { ByteReader } from './byte-reader.ts';

export const FRAME_HEADER_LENGTH = 24;
export const FRAME_TRAILER_LENGTH = 4;
export const TAG_LENGTH = 16;
/** Of a body as it is stored, tag included. */
export const MAX_BODY_LENGTH = 1 << 20;

export const FRAME_TYPES = {
  data: 1,
  event: 2,
  cut: 3,
  gap: 4,
  recovered: 5,
  group: 6,
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
}

/** HKDF-SHA256(data key, salt none, info "seg" ‖ u32 segment). */
export function segmentKey(dataKey: Uint8Array, segment: number): KeyObject {
  const info = Buffer.from('seg\0\0\0\0');
  info.writeUInt32BE(segment, 3);
  return createSecretKey(Buffer.from(hkdfSync('sha256', dataKey, '', info, 32)));
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
  const length = FRAME_HEADER_LENGTH + header.bodyLength + FRAME_TRAILER_LENGTH;
  const frame = Buffer.allocUnsafe(length);
  writeFrameHeader(frame, header);
  cipher.setAAD(frame.subarray(0, FRAME_HEADER_LENGTH));
  const plain = body.length === 1 && body[0] !== undefined ? body[0] : Buffer.concat(body);
  frame.set(cipher.update(plain), FRAME_HEADER_LENGTH);
  cipher.final();
  frame.set(cipher.getAuthTag(), length - FRAME_TRAILER_LENGTH - TAG_LENGTH);
  const covered = frame.subarray(0, length - FRAME_TRAILER_LENGTH);
  frame.writeUInt32BE(crc32(covered), length - FRAME_TRAILER_LENGTH);
  return { parts: [frame], length };
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
  const trailer = Buffer.allocUnsafe(TAG_LENGTH + FRAME_TRAILER_LENGTH);
  trailer.set(cipher.getAuthTag());
  parts.push(trailer.subarray(0, TAG_LENGTH));
  let checksum = 0;
  for (const part of parts) {
    checksum = crc32(part, checksum);
  }
  trailer.writeUInt32BE(checksum, TAG_LENGTH);
  parts[parts.length - 1] = trailer;
  return { parts, length: FRAME_HEADER_LENGTH + header.bodyLength + FRAME_TRAILER_LENGTH };
}

/** @param bytes at least the 24 bytes of the header. @throws FormatError */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const reader = new ByteReader(bytes.subarray(0, FRAME_HEADER_LENGTH), 'a frame header');
  const bodyLength = reader.u32();
  const type = TYPE_NAMES.get(reader.u8());
  const flags = reader.u8();
  const reserved = reader.u16();
  const seq = reader.u64();
  const timeUs = reader.u64();
  if (bodyLength < TAG_LENGTH || bodyLength > MAX_BODY_LENGTH) {
    throw new FormatError('a frame has a length that is not allowed');
  }
  if (type === undefined || flags !== FLAG_ENCRYPTED || reserved !== 0) {
    throw new FormatError('a frame has a type or flags that are not known here');
  }
  return { type, bodyLength, seq, timeUs };
}

/** Stored length of the whole frame. */
export function frameLength(header: FrameHeader): number {
  return FRAME_HEADER_LENGTH + header.bodyLength + FRAME_TRAILER_LENGTH;
}

/** @param frame exactly one whole frame */
export function hasValidChecksum(frame: Uint8Array): boolean {
  const at = frame.length - FRAME_TRAILER_LENGTH;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  return view.getUint32(at) === crc32(frame.subarray(0, at));
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
}

/** Two halves instead of a BigInt: this runs for every frame. */
function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}
