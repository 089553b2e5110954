/**
 * Digits of other scripts than ours, in UTF-8. Text in them is rare, so whoever finds one leaves the
 * search to the detectors, which know all of Unicode. Every byte is looked at by itself: bytes in
 * front of it that are no UTF-8 hide nothing.
 */

/**
 * Where they begin, each with what it is away from ten; General_Category=Nd of Unicode 17, and
 * test/masking/foreign-digits.test.ts asks the platform whether that is still all of them.
 */
const TENS = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
  0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
  0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30,
  0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0,
  0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11de0, 0x11f50, 0x16130,
  0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140,
  0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/** A bit for each code point. */
const DIGITS = new Uint8Array(0x20_000 >> 3);
for (const ten of TENS) {
  for (let code = ten; code < ten + 10; code += 1) {
    DIGITS[code >> 3] = (DIGITS[code >> 3] ?? 0) | (1 << (code & 7));
  }
}

/** The lead byte of the first one, U+0660. */
export const FIRST_FOREIGN_LEAD = 0xd9;

/** Whether a digit may begin at `at`, where a byte from `FIRST_FOREIGN_LEAD` on stands. */
export function isForeignDigit(bytes: Uint8Array, at: number, end: number): boolean {
  const lead = bytes[at] ?? 0;
  if (lead < 0xe0) {
    return at + 1 < end && isDigit(((lead & 0x1f) << 6) | ((bytes[at + 1] ?? 0) & 0x3f));
  }
  if (lead < 0xf0) {
    // From U+2000 to U+9FFF and from U+B000 to U+EFFF there is none.
    if ((lead > 0xe1 && lead < 0xea) || (lead > 0xea && lead < 0xef) || at + 2 >= end) return false;
    const high = ((lead & 0x0f) << 12) | (((bytes[at + 1] ?? 0) & 0x3f) << 6);
    return isDigit(high | ((bytes[at + 2] ?? 0) & 0x3f));
  }
  if (lead !== 0xf0 || at + 3 >= end) return false;
  const high = (((bytes[at + 1] ?? 0) & 0x3f) << 12) | (((bytes[at + 2] ?? 0) & 0x3f) << 6);
  return isDigit(high | ((bytes[at + 3] ?? 0) & 0x3f));
}

function isDigit(code: number): boolean {
  return ((DIGITS[code >> 3] ?? 0) & (1 << (code & 7))) !== 0;
}
