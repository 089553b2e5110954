/**
 * IBANs (ISO 13616): country, check digits, the length that the country uses, remainder 1 modulo 97.
 * Lengths from the SWIFT IBAN registry.
 */
import type { Hit } from './hit.ts';

export const IBAN_LENGTHS: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AL: 28,
  AT: 20,
  AZ: 28,
  BA: 20,
  BE: 16,
  BG: 22,
  BH: 22,
  BI: 27,
  BR: 29,
  BY: 28,
  CH: 21,
  CR: 22,
  CY: 28,
  CZ: 24,
  DE: 22,
  DJ: 27,
  DK: 18,
  DO: 28,
  EE: 20,
  EG: 29,
  ES: 24,
  FI: 18,
  FK: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GL: 18,
  GR: 27,
  GT: 28,
  HN: 28,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IQ: 23,
  IS: 26,
  IT: 27,
  JO: 30,
  KW: 30,
  KZ: 20,
  LB: 28,
  LC: 32,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  LY: 25,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MN: 20,
  MR: 27,
  MT: 31,
  MU: 30,
  NI: 28,
  NL: 18,
  NO: 15,
  OM: 23,
  PK: 24,
  PL: 28,
  PS: 29,
  PT: 25,
  QA: 29,
  RO: 24,
  RS: 22,
  RU: 33,
  SA: 24,
  SC: 31,
  SD: 18,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  SO: 23,
  ST: 25,
  SV: 28,
  TL: 23,
  TN: 24,
  TR: 26,
  UA: 29,
  VA: 22,
  VG: 24,
  XK: 20,
  YE: 30,
};

const START = /(?<![\p{L}\p{Nd}])([A-Z]{2})[ \u00a0-]?[0-9]{2}/giu;
const SEPARATOR = /[ \u00a0\u2007\u202f\u200b-\u200f\u2060\ufeff-]/;

export function findIbans(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(START)) {
    const length = IBAN_LENGTHS[(match[1] ?? '').toUpperCase()];
    if (length === undefined) continue;
    const end = endOfAccount(text, match.index, length);
    if (end !== undefined) hits.push({ detector: 'iban', start: match.index, end });
  }
}

/** @returns the offset after the account number that starts at `start`, if it is one. */
function endOfAccount(text: string, start: number, length: number): number | undefined {
  let account = '';
  let offset = start;
  let separators = 0;
  while (account.length < length) {
    const character = text[offset];
    if (character === undefined) return undefined;
    if (/[A-Za-z0-9]/.test(character)) {
      account += character;
      separators = 0;
    } else if (SEPARATOR.test(character) && separators < 2) {
      separators += 1;
    } else {
      return undefined;
    }
    offset += 1;
  }
  const next = text[offset];
  if (next !== undefined && /[\p{L}\p{Nd}]/u.test(next)) return undefined;
  return hasRightCheckDigits(account.toUpperCase()) ? offset : undefined;
}

function hasRightCheckDigits(account: string): boolean {
  let remainder = 0;
  for (const character of account.slice(4) + account.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}
