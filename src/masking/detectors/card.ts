/**
 * Payment card numbers (ISO/IEC 7812): 13 to 19 digits, a prefix and length that an issuer uses,
 * a right Luhn digit, and boundaries that rule out fractions, hashes and longer numbers. Digits of
 * every script count, because NFKC or a reader's eye turns them back; so do the separators people
 * and word processors put between groups.
 */
import type { Hit } from './hit.ts';

export const SHORTEST_CARD = 13;
export const LONGEST_CARD = 19;

/** Between groups: white space of every kind, zero-width characters, dashes, short markup tags. */
const LOOSE_SEPARATOR =
  /^(?:[\s\u00ad\u200b-\u200f\u2010-\u2015\u2060\u2212\ufeff_-]|<\/?[a-z][a-z0-9]{0,9}>){1,3}$/i;
/** These occur in numbers of many kinds, so only the exact grouping of a card counts. */
const STRICT_SEPARATOR = /^(?:[./:|*+#\u00b7\u2022\u2219\u22c5]|["'\\]{0,2}[,;]["'\\]{0,2})$/;
const CARD_GROUPINGS = new Set(['4,4,4,4', '4,6,5', '4,6,4', '4,4,4,4,3', '4,4,4,1', '4,4,5']);
/** Lengths in hexadecimal of MD5, SHA-1, SHA-224, SHA-256, SHA-384 and SHA-512. */
const DIGEST_LENGTHS = new Set([32, 40, 56, 64, 96, 128]);
const LONGEST_SEPARATOR = 16;

interface Group {
  readonly start: number;
  readonly end: number;
  /** As ASCII. */
  readonly digits: string;
}

export function isCardNumber(digits: string): boolean {
  const length = digits.length;
  if (length < SHORTEST_CARD || length > LONGEST_CARD) return false;
  return hasIssuerPrefix(Number(digits.slice(0, 4)), length) && passesLuhn(digits);
}

/**
 * Prefix ranges by length: https://en.wikipedia.org/wiki/Payment_card_number (IIN table).
 * @param four the first four digits @param length of all of them
 */
export function hasIssuerPrefix(four: number, length: number): boolean {
  const one = Math.trunc(four / 1000);
  const two = Math.trunc(four / 100);
  const three = Math.trunc(four / 10);
  // Of 13 digits with 49 or 43 in front nearly all are telephone numbers, and no card is made.
  if (one === 4 && length === 13) return two !== 49 && two !== 43;
  if (one === 4) return length === 16 || length === 19;
  if (two === 34 || two === 37) return length === 15;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length === 16;
  if ((three >= 300 && three <= 305) || two === 36 || two === 38 || two === 39)
    return length === 14;
  if (four >= 3528 && four <= 3589) return length >= 16;
  if (two === 60 || two === 62 || two === 65 || (three >= 644 && three <= 649)) return length >= 16;
  if (four >= 2200 && four <= 2204) return length >= 16;
  // Maestro.
  return MAESTRO.has(four) && length >= 13;
}

const MAESTRO = new Set([5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763]);

function passesLuhn(digits: string): boolean {
  let sum = 0;
  let double = false;
  for (let index = digits.length - 1; index >= 0; index -= 1) {
    let value = digits.charCodeAt(index) - 0x30;
    if (double) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
    double = !double;
  }
  return sum % 10 === 0 && sum > 0;
}

export function findCards(text: string, hits: Hit[]): void {
  let chain: Group[] = [];
  for (const group of digitGroups(text)) {
    const last = chain.at(-1);
    if (last !== undefined && !areJoined(text, last, group)) {
      findInChain(text, chain, hits);
      chain = [];
    }
    chain.push(group);
  }
  findInChain(text, chain, hits);
}

function* digitGroups(text: string): Generator<Group> {
  for (const match of text.matchAll(/\p{Nd}+/gu)) {
    const start = match.index;
    yield { start, end: start + match[0].length, digits: asciiDigits(match[0]) };
  }
}

function areJoined(text: string, left: Group, right: Group): boolean {
  if (right.start - left.end > LONGEST_SEPARATOR) return false;
  const separator = text.slice(left.end, right.start);
  return LOOSE_SEPARATOR.test(separator) || STRICT_SEPARATOR.test(separator);
}

/** Tries every run of neighbouring groups: an expiry date may follow the number without a word. */
function findInChain(text: string, chain: readonly Group[], hits: Hit[]): void {
  for (let first = 0; first < chain.length; first += 1) {
    let digits = '';
    for (let last = first; last < chain.length; last += 1) {
      const group = chain[last];
      if (group === undefined) break;
      digits += group.digits;
      if (digits.length > LONGEST_CARD) break;
      if (digits.length < SHORTEST_CARD || !isCardNumber(digits)) continue;
      if (!isPlausible(text, chain.slice(first, last + 1))) continue;
      const start = chain[first]?.start ?? group.start;
      hits.push({ detector: 'card', start, end: group.end });
      first = last;
      break;
    }
  }
}

function isPlausible(text: string, groups: readonly Group[]): boolean {
  const first = groups[0];
  const last = groups.at(-1);
  if (first === undefined || last === undefined) return false;
  if (isFraction(text, first.start, last.end)) return false;
  if (groups.length === 1) {
    if (first.digits.length === SHORTEST_CARD && text[first.start - 1] === '+') return false;
    return !isDigest(text, first.start, first.end);
  }
  // A group that hangs on a letter belongs to a word (an identifier, a UUID), not to a card.
  if (isWordCharacter(text[first.start - 1]) || isWordCharacter(text[last.end])) return false;
  const sizes = groups.map((group) => group.digits.length);
  const separators = groups
    .slice(1)
    .map((group, index) => text.slice(groups[index]?.end ?? 0, group.start));
  if (separators.some((separator) => STRICT_SEPARATOR.test(separator))) {
    const kinds = new Set(separators.map((separator) => separator.replace(/["'\\]/g, '')));
    return kinds.size === 1 && CARD_GROUPINGS.has(sizes.join(','));
  }
  return (sizes[0] ?? 0) >= 4 && sizes.every((size) => size >= 3);
}

/**
 * `0.4539148803436467` is a number between 0 and 1; `4539148803436467.00` may well be a card. A comma
 * is no decimal point: lists, CSV, arrays and rows have it between values, and no program writes
 * sixteen decimals behind one.
 */
function isFraction(text: string, start: number, end: number): boolean {
  if (/\p{Nd}\.$/u.test(text.slice(Math.max(0, start - 3), start))) return true;
  if (text[start - 1] === '.' && !/[^\s,;:=([{"'-]/.test(text[start - 2] ?? ' ')) return true;
  const after = /^\.(\p{Nd}+)/u.exec(text.slice(end, end + 24));
  return after !== null && /[^0]/.test(asciiDigits(after[1] ?? ''));
}

function isDigest(text: string, start: number, end: number): boolean {
  const longest = 129;
  const before = /[0-9a-f]*$/i.exec(text.slice(Math.max(0, start - longest), start))?.[0] ?? '';
  const after = /^[0-9a-f]*/i.exec(text.slice(end, end + longest))?.[0] ?? '';
  if (before === '' && after === '') return false;
  return DIGEST_LENGTHS.has(before.length + (end - start) + after.length);
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{Nd}]/u.test(character);
}

/** Decimal digits of any script stand in blocks of ten, in order (Unicode, D136). */
export function asciiDigits(text: string): string {
  if (/^[0-9]*$/.test(text)) return text;
  let result = '';
  for (const character of text) result += digitValue(character.codePointAt(0) ?? 0);
  return result;
}

function digitValue(codePoint: number): number {
  if (codePoint >= 0x30 && codePoint <= 0x39) return codePoint - 0x30;
  // Mathematical digits are the one range that does not start at a multiple of ten's block.
  if (codePoint >= 0x1d7ce && codePoint <= 0x1d7ff) return (codePoint - 0x1d7ce) % 10;
  let zero = codePoint;
  while (codePoint - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return codePoint - zero;
}
