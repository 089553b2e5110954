/**
 * Groups of digits as they come, and whether they may be a card number or a social security number.
 * What `detectors/card.ts` and `detectors/ssn.ts` would find is found here as well, and some more:
 * every byte beyond ASCII is taken for a separator, and of what stands around only little is asked.
 */
import { hasIssuerPrefix, LONGEST_CARD, SHORTEST_CARD } from '../detectors/card.ts';
import { ALPHANUMERIC, isAt, type Stretch } from './stretch.ts';

/** More groups than a number can have of which each but the first has three digits. */
const MAX_GROUPS = 8;
/** Sizes of the groups of a card where what separates them stands in numbers of many kinds, in hexadecimal. */
const STRICT_GROUPINGS: ReadonlySet<number> = new Set([
  0x4444, 0x465, 0x464, 0x44443, 0x4441, 0x445,
]);
/** Sixteen characters, each of at most three bytes. */
const LONGEST_SEPARATOR = 48;
/** Three characters, of three bytes each. */
const LONGEST_SSN_SEPARATOR = 9;
const MAX_LOOSE = 3;

type Joint = 'none' | 'loose' | 'strict';

const BLANK = 1;
const STRICT = 2;
const COMMA = 4;
const QUOTE = 8;
const JOINTS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if ('\t\n\v\f\r _-'.includes(character)) return BLANK;
  if ('./:|*+#'.includes(character)) return STRICT;
  if (',;'.includes(character)) return COMMA;
  return '"\'\\'.includes(character) ? QUOTE : 0;
});

export class DigitGroups {
  readonly #stretch: Stretch;
  mayBeCard = false;
  mayBeSsn = false;
  /** Neighbours that may be parts of one card number. */
  readonly #starts = new Int32Array(MAX_GROUPS);
  readonly #sizes = new Int32Array(MAX_GROUPS);
  /** Whether a group hangs on the one before by a strict separator. */
  readonly #isStrict = new Uint8Array(MAX_GROUPS);
  #count = 0;
  readonly #digits = new Uint8Array(LONGEST_CARD);
  /** The last group and the one before it, of any size. */
  #lastStart = 0;
  #lastSize = 0;
  #earlierStart = 0;
  #earlierSize = 0;

  constructor(stretch: Stretch) {
    this.#stretch = stretch;
  }

  begin(): void {
    this.mayBeCard = false;
    this.mayBeSsn = false;
    this.#count = 0;
    this.#lastSize = 0;
    this.#earlierSize = 0;
  }

  /** @param size digits that follow each other from `start` on, no more and no less */
  group(start: number, size: number): void {
    if (size === 4 && this.#lastSize === 2 && this.#earlierSize === 3) this.#ssn(start, start + 4);
    this.#earlierStart = this.#lastStart;
    this.#earlierSize = this.#lastSize;
    this.#lastStart = start;
    this.#lastSize = size;
    if (size >= 3 || (size === 1 && this.#count >= 3)) this.#card(start, size);
    else this.#count = 0;
  }

  #card(start: number, size: number): void {
    const last = this.#count - 1;
    const joint =
      last < 0 ? 'none' : this.#joint((this.#starts[last] ?? 0) + (this.#sizes[last] ?? 0), start);
    if (joint === 'none' || size > LONGEST_CARD) this.#count = 0;
    if (size > LONGEST_CARD || (this.#count === 0 && size < 4)) return;
    if (this.#count === MAX_GROUPS) this.#dropFirst();
    this.#starts[this.#count] = start;
    this.#sizes[this.#count] = size;
    this.#isStrict[this.#count] = joint === 'strict' ? 1 : 0;
    this.#count += 1;
    if (!this.mayBeCard && (this.#count > 1 || size >= SHORTEST_CARD)) this.#tryEnds();
  }

  /** Of the runs of groups that end with the last one. */
  #tryEnds(): void {
    let digits = 0;
    let sizes = 0;
    let isStrict = false;
    let hasShort = false;
    for (let first = this.#count - 1; first >= 0; first -= 1) {
      const size = this.#sizes[first] ?? 0;
      sizes += size << (4 * (this.#count - 1 - first));
      digits += size;
      if (digits > LONGEST_CARD) return;
      const isAlone = first === this.#count - 1;
      const isPlausible =
        isAlone || (isStrict ? STRICT_GROUPINGS.has(sizes) : size >= 4 && !hasShort);
      if (digits >= SHORTEST_CARD && isPlausible && this.#isCard(first, digits)) {
        this.mayBeCard = true;
        return;
      }
      isStrict ||= this.#isStrict[first] === 1;
      hasShort ||= size < 3;
    }
  }

  /** Issuer, length and Luhn digit. @param length digits from the first one of `group` on */
  #isCard(group: number, length: number): boolean {
    const digits = this.#digits;
    const { bytes } = this.#stretch;
    let to = 0;
    for (let index = group; index < this.#count; index += 1) {
      const start = this.#starts[index] ?? 0;
      const size = this.#sizes[index] ?? 0;
      for (let offset = 0; offset < size; offset += 1) {
        digits[to] = (bytes[start + offset] ?? 0) - 0x30;
        to += 1;
      }
    }
    const four =
      (digits[0] ?? 0) * 1000 + (digits[1] ?? 0) * 100 + (digits[2] ?? 0) * 10 + (digits[3] ?? 0);
    return hasIssuerPrefix(four, length) && passesLuhn(digits, length);
  }

  /** What stands between two groups. */
  #joint(from: number, to: number): Joint {
    const { bytes } = this.#stretch;
    const length = to - from;
    if (length > LONGEST_SEPARATOR) return 'none';
    if (length === 1) {
      const byte = bytes[from] ?? 0;
      const kind = JOINTS[byte] ?? 0;
      if (kind === BLANK || byte >= 0x80) return 'loose';
      return (kind & (STRICT | COMMA)) === 0 ? 'none' : 'strict';
    }
    if (this.#isLoose(from, to)) return 'loose';
    return this.#isQuotedComma(from, to) ? 'strict' : 'none';
  }

  /** Up to three characters or tags; of those beyond ASCII one may have three bytes. */
  #isLoose(from: number, to: number): boolean {
    const { bytes } = this.#stretch;
    let items = 0;
    let beyondAscii = 0;
    let at = from;
    while (at < to) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x80) {
        beyondAscii += 1;
        at += 1;
      } else if (JOINTS[byte] === BLANK) {
        items += 1;
        at += 1;
      } else {
        const end = byte === 0x3c ? tagEnd(bytes, at, to) : -1;
        if (end === -1) return false;
        items += 1;
        at = end;
      }
      if (items + beyondAscii / 3 > MAX_LOOSE) return false;
    }
    return true;
  }

  #isQuotedComma(from: number, to: number): boolean {
    const { bytes } = this.#stretch;
    let commas = 0;
    let quotes = 0;
    for (let at = from; at < to; at += 1) {
      const kind = JOINTS[bytes[at] ?? 0];
      if (kind === COMMA) commas += 1;
      else if (kind === QUOTE) quotes += 1;
      else return false;
    }
    return commas === 1 && quotes <= 4;
  }

  #dropFirst(): void {
    this.#starts.copyWithin(0, 1);
    this.#sizes.copyWithin(0, 1);
    this.#isStrict.copyWithin(0, 1);
    this.#count -= 1;
  }

  /** Three digits, two, and the four that have just come, with the same between them. */
  #ssn(start: number, end: number): void {
    const stretch = this.#stretch;
    const first = this.#earlierStart + this.#earlierSize;
    const second = this.#lastStart + this.#lastSize;
    const before = this.#earlierStart - 1;
    const isApart =
      !isAt(stretch, before, ALPHANUMERIC) &&
      !(before >= stretch.start && stretch.bytes[before] === 0x2d) &&
      !isAt(stretch, end, ALPHANUMERIC);
    if (isApart && this.#isSame(first, this.#lastStart, second, start)) this.mayBeSsn = true;
  }

  #isSame(from: number, to: number, otherFrom: number, otherTo: number): boolean {
    const { bytes } = this.#stretch;
    const length = to - from;
    if (length > LONGEST_SSN_SEPARATOR || otherTo - otherFrom > LONGEST_SSN_SEPARATOR) return false;
    for (let index = 0; index < length; index += 1) {
      const byte = bytes[from + index] ?? 0;
      // The same character may have come as an escape, and then in other bytes.
      if (byte >= 0x80) return true;
      if (byte !== 0x2d && byte !== 0x20 && byte !== 0x2e) return false;
      if (bytes[otherFrom + index] !== byte && (bytes[otherFrom + index] ?? 0) < 0x80) return false;
    }
    return true;
  }
}

/** @returns the offset behind `<b>` or `</b>`; -1: there is none. */
function tagEnd(bytes: Uint8Array, at: number, to: number): number {
  let offset = at + (bytes[at + 1] === 0x2f ? 2 : 1);
  while (offset < to) {
    const byte = bytes[offset] ?? 0;
    if (byte === 0x3e) return offset + 1;
    const lower = byte | 0x20;
    if (lower < 0x61 || lower > 0x7a) return -1;
    offset += 1;
  }
  return -1;
}

function passesLuhn(digits: Uint8Array, length: number): boolean {
  let sum = 0;
  let doubles = false;
  for (let index = length - 1; index >= 0; index -= 1) {
    let value = digits[index] ?? 0;
    if (doubles) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
    doubles = !doubles;
  }
  return sum % 10 === 0 && sum > 0;
}
