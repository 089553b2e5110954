/** Masks of text written in place, without a string for each value. They show what `maskValue` does. */
import type { Stretch } from './candidates/stretch.ts';
import { LONGEST_CARD, SHORTEST_CARD } from './detectors/card.ts';
import {
  CARD_TAIL,
  FULL_MASK,
  LONGEST_TOP_LEVEL_DOMAIN,
  SHORTEST_LOCAL_PART,
  SHORTEST_PARTIAL,
} from './mask-value.ts';

/** Bytes of the longest mask, a hash or an address. */
export const LONGEST_MASK = 48;
/** The value has characters beyond ASCII: `maskValue` decodes it. */
export const NOT_ASCII = -1;

const STAR = 0x2a;
const DOT = 0x2e;

/** Of one character at most 0x7f: white space as `\s` has it, digits, letters. */
const SPACE = 1;
const DIGIT = 2;
const LETTER = 4;
const KINDS = Uint8Array.from({ length: 128 }, (_, byte) => {
  if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) return SPACE;
  if (byte >= 0x30 && byte <= 0x39) return DIGIT;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a ? LETTER : 0;
});

/** `text` is ASCII. @returns its length */
export function writeAscii(text: string, to: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index += 1) to[at + index] = text.charCodeAt(index);
  return text.length;
}

/**
 * Partial mask of the value between `start` and `end`.
 * @returns how many bytes it has, or NOT_ASCII: nothing is written.
 */
export function writePartial(
  { bytes, start, end }: Readonly<Stretch>,
  to: Uint8Array,
  at: number,
): number {
  let first = start;
  let last = end;
  while (first < last && kindOf(bytes[first]) === SPACE) first += 1;
  while (last > first && kindOf(bytes[last - 1]) === SPACE) last -= 1;
  let signs = 0;
  let sign = 0;
  let dot = -1;
  let digits = 0;
  let spaces = 0;
  let hyphens = 0;
  for (let offset = first; offset < last; offset += 1) {
    const byte = bytes[offset] ?? 0;
    if (byte >= 0x80) return NOT_ASCII;
    const kind = KINDS[byte] ?? 0;
    if (kind === DIGIT) digits += 1;
    else if (kind === SPACE) spaces += 1;
    else if (byte === 0x40) {
      signs += 1;
      sign = offset;
    } else if (byte === DOT) dot = offset;
    else if (byte === 0x2d) hyphens += 1;
  }
  if (signs === 1 && spaces === 0 && sign > first && dot > sign) {
    if (isTopLevelDomain(bytes, dot + 1, last)) {
      let written = at;
      if (sign - first >= SHORTEST_LOCAL_PART) to[written++] = shown(bytes[first]);
      written += writeAscii('***@***', to, written);
      for (let offset = dot; offset < last; offset += 1) to[written++] = bytes[offset] ?? 0;
      return written - at;
    }
  }
  const isNumber = digits + spaces + hyphens === last - first;
  if (isNumber && digits >= SHORTEST_CARD && digits <= LONGEST_CARD) {
    return writeAscii(FULL_MASK, to, at) + writeTail(bytes, last, to, at + FULL_MASK.length);
  }
  if (end - start < SHORTEST_PARTIAL) return writeAscii(FULL_MASK, to, at);
  to[at] = shown(bytes[start]);
  return 1 + writeAscii('***', to, at + 1);
}

function isTopLevelDomain(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 2 || end - start > LONGEST_TOP_LEVEL_DOMAIN) return false;
  for (let offset = start; offset < end; offset += 1) {
    if (kindOf(bytes[offset]) !== LETTER) return false;
  }
  return true;
}

/** The last four digits in front of `end`. @returns how many they are */
function writeTail(bytes: Uint8Array, end: number, to: Uint8Array, at: number): number {
  let left = CARD_TAIL;
  for (let offset = end - 1; left > 0; offset -= 1) {
    if (kindOf(bytes[offset]) !== DIGIT) continue;
    left -= 1;
    to[at + left] = bytes[offset] ?? 0;
  }
  return CARD_TAIL;
}

function shown(byte: number | undefined): number {
  return byte !== undefined && byte >= 0x20 && byte <= 0x7e ? byte : STAR;
}

function kindOf(byte: number | undefined): number {
  return KINDS[byte ?? 0xff] ?? 0;
}
