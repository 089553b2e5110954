/**
 * Bytes that are looked at: a value within a chunk, or what is behind its escapes. Reused for one
 * value after the other, so that a value costs no object. Nothing outside of it may be asked for: it
 * belongs to another value.
 */
export interface Stretch {
  bytes: Uint8Array;
  /** Offset of the first one, and that behind the last one. */
  start: number;
  end: number;
}

const DIGIT = 1;
const LETTER = 2;
/** Of base64url. */
const URL_SIGN = 4;
/** Of base64. */
const BASE64_SIGN = 8;
/** Of the part of an address before the @ (RFC 5321, atext and dots). */
const LOCAL_PART = 16;
/** Of the token of GitHub. */
const UNDERSCORE = 32;
const DOT = 64;

const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const isLetter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
  const isDigit = byte >= 0x30 && byte <= 0x39;
  const character = String.fromCharCode(byte);
  return (
    (isDigit ? DIGIT | LOCAL_PART : 0) |
    (isLetter ? LETTER | LOCAL_PART : 0) |
    ('_-'.includes(character) ? URL_SIGN : 0) |
    ('/+'.includes(character) ? BASE64_SIGN : 0) |
    (character === '_' ? UNDERSCORE : 0) |
    (character === '.' ? DOT : 0) |
    ("!#$%&'*+/=?^_`{|}~.-".includes(character) ? LOCAL_PART : 0)
  );
});

/** Sets of ASCII characters. */
export const ALPHANUMERIC = DIGIT | LETTER;
export const BASE64 = ALPHANUMERIC | BASE64_SIGN;
export const BASE64_URL = ALPHANUMERIC | URL_SIGN;
export const BASE64_URL_OR_DOT = BASE64_URL | DOT;
export const WORD = ALPHANUMERIC | UNDERSCORE;
export { DIGIT, LETTER, LOCAL_PART };

/** Whether a byte of `set` stands at `at`, and not outside. */
export function isAt({ bytes, start, end }: Stretch, at: number, set: number): boolean {
  return at >= start && at < end && ((KINDS[bytes[at] ?? 0] ?? 0) & set) !== 0;
}

/** How many bytes of `set` follow each other from `at` on, up to `most`. */
export function runOf({ bytes, end }: Stretch, at: number, set: number, most: number): number {
  const stop = Math.min(end, at + most);
  let offset = at;
  while (offset < stop && ((KINDS[bytes[offset] ?? 0] ?? 0) & set) !== 0) offset += 1;
  return offset - at;
}

/** Whether `text` (ASCII) stands at `at`. */
export function standsAt({ bytes, start, end }: Stretch, at: number, text: string): boolean {
  if (at < start || at + text.length > end) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}
