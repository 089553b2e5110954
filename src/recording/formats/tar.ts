/**
 * Uncompressed ustar as bundles use it: plain files, one spelling of every header, zero padding,
 * exactly two zero blocks at the end. A header is read by writing it again and comparing, so that
 * no byte of an archive is without meaning.
 * https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
import { FormatError } from '../../format-error.ts';

export const TAR_BLOCK = 512;
export const TAR_END_LENGTH = 2 * TAR_BLOCK;
const MAX_NAME = 100;
/** Eleven octal digits. */
const MAX_SIZE = 0o77777777777;

/** @throws FormatError when name or size do not fit the format */
export function encodeTarHeader(name: string, size: number): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > MAX_NAME) {
    throw new FormatError('a bundle member has a name that is not allowed');
  }
  if (!Number.isSafeInteger(size) || size < 0 || size > MAX_SIZE) {
    throw new FormatError(`bundle member "${name}" is too large`);
  }
  const header = Buffer.alloc(TAR_BLOCK);
  header.write(name, 0, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write('00000000000\0', 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('0', 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

export interface TarHeader {
  readonly name: string;
  readonly size: number;
}

/** @returns undefined for a block of zeros. @throws FormatError */
export function decodeTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.length !== TAR_BLOCK) {
    throw new FormatError('the archive ends inside a header');
  }
  if (block.every((byte) => byte === 0)) {
    return undefined;
  }
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString('latin1');
  const nameEnd = text.indexOf('\0');
  const name = text.slice(0, nameEnd === -1 || nameEnd > MAX_NAME ? MAX_NAME : nameEnd);
  const size = text.slice(124, 135);
  if (!/^[0-7]{11}$/.test(size)) {
    throw new FormatError('the archive has a malformed header');
  }
  const header = { name, size: Number.parseInt(size, 8) };
  if (Buffer.compare(encodeTarHeader(header.name, header.size), block) !== 0) {
    throw new FormatError('the archive has a header that no bundle has');
  }
  return header;
}

/** Zero bytes that follow a member of this size. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/** Bytes of a member in the archive: header, content, padding. */
export function tarMemberLength(size: number): number {
  return TAR_BLOCK + size + tarPadding(size);
}
