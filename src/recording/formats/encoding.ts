/** Text forms of bytes, read strictly: one value has exactly one spelling. */
import { FormatError } from '../../format-error.ts';

const ENCODER = new TextEncoder();
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** @throws FormatError for anything but padded standard base64 of `length` bytes (any, if absent). */
export function fromBase64(text: string, what: string, length?: number): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  // Node's decoder skips what it does not know, so only the way back proves the way in.
  if (bytes.toString('base64') !== text) {
    throw new FormatError(`${what} is not base64`);
  }
  if (length !== undefined && bytes.length !== length) {
    throw new FormatError(`${what} has ${bytes.length} bytes instead of ${length}`);
  }
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** @throws FormatError for anything but lower-case hex of `length` bytes. */
export function fromHex(text: string, what: string, length: number): Uint8Array {
  if (text.length !== length * 2 || !/^[0-9a-f]*$/.test(text)) {
    throw new FormatError(`${what} is not ${length} bytes in lower-case hex`);
  }
  return Buffer.from(text, 'hex');
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(text);
}

export function fromUtf8(bytes: Uint8Array, what: string): string {
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw new FormatError(`${what} is not UTF-8`, { cause });
  }
}

/** Lengths are public; digests and signatures compared here are not secrets. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
