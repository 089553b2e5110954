/**
 * What the detectors might find in a value, without decoding it: one look at each byte, in which
 * most are letters and spaces and stand for nothing. What they would find is always among it
 * (test/connectors/postgres/masking/candidates.test.ts holds it against them); what is more costs the time that they take
 * to find nothing. So a rule here may be wider than theirs and never narrower.
 *
 * Bytes are those of UTF-8 or of whatever else the client has as client_encoding, in which the
 * detectors read each byte as a character: beyond ASCII nothing is known of a byte but that it may be
 * white space, a letter, or a digit of another script.
 */
import { mayBeAccount } from './account.ts';
import { ALL_CANDIDATES, CANDIDATE } from './candidate.ts';
import { DigitGroups } from './digit-groups.ts';
import { FIRST_FOREIGN_LEAD, isForeignDigit } from './foreign-digits.ts';
import {
  atSign,
  capitalA,
  colonOrEquals,
  googleToken,
  hyphen,
  JwtStarts,
  underscore,
} from './literals.ts';
import type { Stretch } from './stretch.ts';
import {
  UnescapedBytes,
  unescapeHex,
  unescapeHexRuns,
  unescapeJson,
  unescapeText,
} from './unescape-bytes.ts';

/** The shortest thing any detector looks for is `a@b.co`. */
const SHORTEST_HIT = 6;

const LOWER_X = 0x78;

const DIGIT = 1;
const FOREIGN = 2;
const AT = 3;
const ESCAPE = 4;
const COLON = 5;
const UNDERSCORE = 6;
const HYPHEN = 7;
const CAPITAL_A = 8;
const CAPITAL_J = 9;
const BACKSLASH = 10;

const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x30 && byte <= 0x39) return DIGIT;
  if (byte >= FIRST_FOREIGN_LEAD) return FOREIGN;
  switch (String.fromCharCode(byte)) {
    case '@':
      return AT;
    case '%':
    case '&':
      return ESCAPE;
    case '\\':
      return BACKSLASH;
    case ':':
    case '=':
      return COLON;
    case '_':
      return UNDERSCORE;
    case '-':
      return HYPHEN;
    case 'A':
      return CAPITAL_A;
    case 'J':
      return CAPITAL_J;
    default:
      return 0;
  }
});

/** In front of the first digits of an IBAN: a letter of its country, or what stands behind that. */
const MAY_STAND_BEFORE = Uint8Array.from({ length: 256 }, (_, byte) => {
  const lower = byte | 0x20;
  const isLetter = byte < 0x80 && lower >= 0x61 && lower <= 0x7a;
  return isLetter || byte === 0x20 || byte === 0x2d || byte === 0xa0 ? 1 : 0;
});

/** For one value after the other; gives nothing away from one to the next. */
export class HitCandidates {
  readonly #stretch: Stretch = { bytes: new Uint8Array(0), start: 0, end: 0 };
  readonly #groups = new DigitGroups(this.#stretch);
  readonly #jwts = new JwtStarts();
  readonly #escaped = new UnescapedBytes();
  readonly #json = new UnescapedBytes();
  #hasEscape = false;
  #hasBackslash = false;
  #mayHaveHexRun = false;
  #endsAtBackslash = false;

  /** Text, or bytes that may be some. @returns bits of `CANDIDATE` */
  inText(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < SHORTEST_HIT) return 0;
    return this.#withEscapes(this.#scan(bytes, start, end), bytes, start, end);
  }

  /** JSON, whose strings are searched one by one without their escapes. */
  inJson(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < SHORTEST_HIT) return 0;
    this.#endsAtBackslash = true;
    const found = this.#scan(bytes, start, end);
    this.#endsAtBackslash = false;
    // Without one the strings stand there as they are.
    if (!this.#hasBackslash) return this.#withEscapes(found, bytes, start, end);
    const json = this.#json;
    unescapeJson(bytes, start, end, json);
    return json.isOdd ? ALL_CANDIDATES : this.inText(json.bytes, 0, json.length);
  }

  /** bytea in its text form; what is not hexadecimal is text. */
  inBytea(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < 2 || bytes[start] !== 0x5c || bytes[start + 1] !== 0x78) {
      return this.inText(bytes, start, end);
    }
    const inner = this.#json;
    unescapeHex(bytes, start + 2, end, inner);
    return this.inText(inner.bytes, 0, inner.length);
  }

  /** @param found by the scan that has just ended, of the same bytes */
  #withEscapes(found: number, bytes: Uint8Array, start: number, end: number): number {
    if (!this.#hasEscape || found === ALL_CANDIDATES) return found;
    const text = this.#escaped;
    let all = found;
    if (this.#mayHaveHexRun && unescapeHexRuns(bytes, start, end, text)) {
      all |= this.#scan(text.bytes, 0, text.length);
    }
    if (!unescapeText(bytes, start, end, text)) return all;
    return text.isOdd ? ALL_CANDIDATES : all | this.#scan(text.bytes, 0, text.length);
  }

  #scan(bytes: Uint8Array, start: number, end: number): number {
    const stretch = this.#stretch;
    stretch.bytes = bytes;
    stretch.start = start;
    stretch.end = end;
    this.#groups.begin();
    this.#jwts.begin();
    this.#hasEscape = false;
    this.#hasBackslash = false;
    this.#mayHaveHexRun = false;
    let found = 0;
    for (let at = start; at < end; at += 1) {
      const kind = CLASSES[bytes[at] ?? 0] ?? 0;
      if (kind === 0) continue;
      if (kind === DIGIT) {
        let behind = at + 1;
        while (behind < end && CLASSES[bytes[behind] ?? 0] === DIGIT) behind += 1;
        const size = behind - at;
        this.#groups.group(at, size);
        if (size > 1 && at - start > 1 && MAY_STAND_BEFORE[bytes[at - 1] ?? 0] === 1) {
          found |= this.#behindLetters(at);
        }
        // What comes next is no digit.
        at = behind - 1;
      } else {
        found |= this.#sign(kind, at);
        if (found === ALL_CANDIDATES) return found;
      }
    }
    if (this.#groups.mayBeCard) found |= CANDIDATE.card;
    if (this.#groups.mayBeSsn) found |= CANDIDATE.ssn;
    return found;
  }

  /** What the two digits at `at` may belong to. */
  #behindLetters(at: number): number {
    const stretch = this.#stretch;
    return (
      (mayBeAccount(stretch, at) ? CANDIDATE.iban : 0) |
      (stretch.bytes[at - 1] === 0x61 ? googleToken(stretch, at) : 0)
    );
  }

  #sign(kind: number, at: number): number {
    const stretch = this.#stretch;
    switch (kind) {
      case FOREIGN:
        return isForeignDigit(stretch.bytes, at, stretch.end) ? ALL_CANDIDATES : 0;
      case AT:
        return atSign(stretch, at);
      case ESCAPE:
        this.#hasEscape = true;
        return 0;
      case BACKSLASH:
        this.#hasEscape = true;
        this.#hasBackslash = true;
        this.#mayHaveHexRun ||= ((stretch.bytes[at + 1] ?? 0) | 0x20) === LOWER_X;
        return this.#endsAtBackslash ? ALL_CANDIDATES : 0;
      case COLON:
        return colonOrEquals(stretch, at);
      case UNDERSCORE:
        return underscore(stretch, at);
      case HYPHEN:
        return hyphen(stretch, at);
      case CAPITAL_A:
        return capitalA(stretch, at);
      default:
        return this.#jwts.capitalJ(stretch, at);
    }
  }
}
