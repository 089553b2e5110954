/** IBANs, from their first two digits on: nearly exactly what `detectors/iban.ts` finds. */
import { IBAN_LENGTHS } from '../detectors/iban.ts';
import { ALPHANUMERIC, isAt, type Stretch } from './stretch.ts';

/** By the letters of the country, 0 to 25 each; 0 = no country. */
const LENGTHS = new Uint8Array(26 * 26);
for (const [country, length] of Object.entries(IBAN_LENGTHS)) {
  LENGTHS[(country.charCodeAt(0) - 0x41) * 26 + country.charCodeAt(1) - 0x41] = length;
}
/** Two separators of at most three bytes each. */
const MAX_SEPARATOR = 6;
const ASCII_SEPARATOR = 3;

/** @param digits offset of the first of at least two digits */
export function mayBeAccount(stretch: Stretch, digits: number): boolean {
  const { bytes } = stretch;
  const start = startOfCountry(stretch, digits);
  if (start < stretch.start) return false;
  const first = letter(bytes[start] ?? 0);
  const second = letter(bytes[start + 1] ?? 0);
  if (first < 0 || first > 25 || second < 0 || second > 25) return false;
  const length = LENGTHS[first * 26 + second] ?? 0;
  if (length === 0 || isAt(stretch, start - 1, ALPHANUMERIC)) return false;
  return hasRightCheckDigits(stretch, start, length);
}

/** Right in front of the digits, or with one separator between. */
function startOfCountry({ bytes, start }: Stretch, digits: number): number {
  const before = digits - 1 < start ? 0 : (bytes[digits - 1] ?? 0);
  if (before === 0x20 || before === 0x2d) return digits - 3;
  if (before !== 0xa0) return digits - 2;
  return digits - 2 >= start && bytes[digits - 2] === 0xc2 ? digits - 4 : digits - 3;
}

function hasRightCheckDigits(stretch: Stretch, start: number, length: number): boolean {
  const { bytes, end } = stretch;
  let remainder = 0;
  /** Of the first four characters, which count as if they stood at the end. */
  let first = 0;
  let firstFactor = 1;
  let count = 0;
  let separator = 0;
  let at = start;
  for (; count < length; at += 1) {
    if (at >= end) return false;
    const byte = bytes[at] ?? 0;
    if (isAt(stretch, at, ALPHANUMERIC)) {
      const value = byte <= 0x39 ? byte - 0x30 : 10 + letter(byte);
      const factor = value > 9 ? 100 : 10;
      if (count < 4) {
        first = first * factor + value;
        firstFactor *= factor;
      } else remainder = (remainder * factor + value) % 97;
      count += 1;
      separator = 0;
      continue;
    }
    if (byte < 0x80 && byte !== 0x20 && byte !== 0x2d) return false;
    separator += byte < 0x80 ? ASCII_SEPARATOR : 1;
    if (separator > MAX_SEPARATOR) return false;
  }
  return !isAt(stretch, at, ALPHANUMERIC) && (remainder * firstFactor + first) % 97 === 1;
}

/** 0 to 25, of either case; other bytes have other numbers. */
function letter(byte: number): number {
  return byte < 0x80 ? (byte | 0x20) - 0x61 : -1;
}
