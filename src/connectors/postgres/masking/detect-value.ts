/**
 * Detectors on one column value, by type and format. The replacement is valid for the type: text
 * keeps its other characters, JSON stays JSON, arrays and rows keep their shape, and where no such
 * replacement exists the value becomes NULL.
 */

import { ALL_CANDIDATES, CANDIDATE } from '../../../masking/candidates/candidate.ts';
import { HitCandidates } from '../../../masking/candidates/hit-candidates.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import { countHit, type HitCounts, withoutHits } from '../../../masking/detect-text.ts';
import { jsonWithoutHits } from '../../../masking/json-text.ts';
import type { DetectorName } from '../../../policy/types.ts';
import { nestedValues } from './nested-values.ts';
import { isCardInBinary, isCardInText, isNumberType } from './numbers.ts';
import {
  ELEMENT_TYPE,
  isBuiltInText,
  OPAQUE_ARRAYS,
  OPAQUE_TO_DETECTORS,
  TYPE,
} from './type-oids.ts';

export interface ValueDetector {
  readonly detectors: ReadonlySet<DetectorName>;
  readonly counts: HitCounts;
  /** Types that are plain strings in both formats though not built in: citext, enums. */
  readonly isText: (typeOid: number) => boolean;
  /** Whether text is UTF-8; else it is searched byte by byte, and so comes out as it was. */
  readonly isUtf8: boolean;
  /** What looks at values first; absent: one is made. Its owner hands it from value to value. */
  readonly candidates?: HitCandidates;
}

/** How the bytes of a value are looked at; `value`: as a whole, by its type. */
export type Search = 'text' | 'json' | 'jsonb' | 'bytea' | 'value';

/** Digits in a text of numbers, below which it is not searched. */
const FEWEST_DIGITS = 9;

/** undefined = leave as it is, null = NULL. */
type Replacement = Uint8Array | null | undefined;

/** Whether a column of this type can hold a hit at all. */
export function isDetectable(typeOid: number, isDerived: boolean): boolean {
  if (OPAQUE_TO_DETECTORS.has(typeOid) || OPAQUE_ARRAYS.has(typeOid)) return false;
  // A stored number is an id or an amount; one in ten long ids passes the Luhn check.
  const element = ELEMENT_TYPE.get(typeOid) ?? typeOid;
  return isDerived || !isNumberType(element);
}

export function searchOf(
  typeOid: number,
  format: 0 | 1,
  isText: (typeOid: number) => boolean,
): Search {
  if (isNumberType(typeOid)) return 'value';
  if (format === 1) {
    if (isBuiltInText(typeOid) || typeOid === TYPE.xml || isText(typeOid)) return 'text';
    if (typeOid === TYPE.json) return 'json';
    if (typeOid === TYPE.jsonb) return 'jsonb';
    return typeOid === TYPE.bytea ? 'text' : 'value';
  }
  if (typeOid === TYPE.json || typeOid === TYPE.jsonb) return 'json';
  if (typeOid === TYPE.bytea) return 'bytea';
  const element = ELEMENT_TYPE.get(typeOid);
  return element !== undefined && isNumberType(element) ? 'value' : 'text';
}

/** @returns bits of `CANDIDATE`: what may be in the value between `start` and `end`. */
export function candidatesIn(
  candidates: HitCandidates,
  search: Search,
  { bytes, start, end }: Readonly<Stretch>,
): number {
  switch (search) {
    case 'text':
      return candidates.inText(bytes, start, end);
    case 'json':
      return candidates.inJson(bytes, start, end);
    case 'jsonb':
      // One version byte, then the text.
      return candidates.inJson(bytes, start + 1, end);
    case 'bytea':
      return candidates.inBytea(bytes, start, end);
    case 'value':
      return ALL_CANDIDATES;
  }
}

export function valueWithoutHits(
  value: Uint8Array,
  typeOid: number,
  format: 0 | 1,
  how: ValueDetector,
): Replacement {
  if (isNumberType(typeOid)) return numberReplacement(value, typeOid, format, how);
  const search = searchOf(typeOid, format, how.isText);
  if (search === 'value') {
    return format === 1
      ? nestedReplacement(value, typeOid, how)
      : numberArrayReplacement(value, how);
  }
  const narrowed = narrow(value, search, how);
  if (narrowed === undefined) return undefined;
  switch (search) {
    case 'json':
      return textReplacement(value, narrowed, jsonWithoutHits);
    case 'jsonb':
      return jsonbReplacement(value, narrowed);
    case 'bytea':
      return hexReplacement(value, narrowed);
    case 'text':
      return typeOid === TYPE.bytea
        ? bytesWithoutHits(value, narrowed)
        : textReplacement(value, narrowed, withoutHits);
  }
}

/** With those detectors alone that may find something; undefined: none may. */
function narrow(value: Uint8Array, search: Search, how: ValueDetector): ValueDetector | undefined {
  const candidates = how.candidates ?? new HitCandidates();
  const bits = candidatesIn(candidates, search, { bytes: value, start: 0, end: value.length });
  if (bits === 0) return undefined;
  const detectors = [...how.detectors].filter((name) => (CANDIDATE[name] & bits) !== 0);
  return detectors.length === 0 ? undefined : { ...how, detectors: new Set(detectors) };
}

type Clean = typeof withoutHits;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes, cleans and encodes alike, so that what is no hit comes out byte for byte. */
function textReplacement(value: Uint8Array, how: ValueDetector, clean: Clean): Replacement {
  const text = how.isUtf8 ? decodeUtf8(value) : undefined;
  if (text === undefined) {
    const result = clean(latin1(value), how.detectors, how.counts);
    return result === undefined ? undefined : Buffer.from(result, 'latin1');
  }
  const result = clean(text, how.detectors, how.counts);
  return result === undefined ? undefined : Buffer.from(result);
}

function decodeUtf8(value: Uint8Array): string | undefined {
  try {
    return utf8.decode(value);
  } catch {
    // Not UTF-8 (SQL_ASCII, a bytea): the caller reads it byte by byte.
    return undefined;
  }
}

function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
}

function numberReplacement(
  value: Uint8Array,
  typeOid: number,
  format: 0 | 1,
  how: ValueDetector,
): Replacement {
  if (!how.detectors.has('card')) return undefined;
  const isCard =
    format === 1
      ? isCardInBinary(value, typeOid)
      : value.length >= 13 && value.length <= 64 && isCardInText(latin1(value));
  if (!isCard) return undefined;
  countHit(how.counts, 'card');
  return null;
}

/** `{1,4539148803436467,NULL}`: an element that is no number would not be valid, NULL is. */
function numberArrayReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (!how.detectors.has('card') || !hasManyDigits(value)) return undefined;
  let found = false;
  const text = latin1(value).replace(/[^{},]+/g, (element) => {
    if (!isCardInText(element)) return element;
    found = true;
    countHit(how.counts, 'card');
    return 'NULL';
  });
  return found ? Buffer.from(text, 'latin1') : undefined;
}

function hasManyDigits(value: Uint8Array): boolean {
  let digits = 0;
  for (const byte of value) {
    if (byte >= 0x30 && byte <= 0x39) digits += 1;
  }
  return digits >= FEWEST_DIGITS;
}

/** `\x3435…`: a bytea that is text inside is searched as text. */
function hexReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (value[0] !== 0x5c || value[1] !== 0x78) {
    return textReplacement(value, how, withoutHits);
  }
  const hex = Buffer.from(value.buffer, value.byteOffset + 2, value.length - 2).toString('latin1');
  const clean = bytesWithoutHits(Buffer.from(hex, 'hex'), how);
  return clean === undefined ? undefined : Buffer.from(`\\x${Buffer.from(clean).toString('hex')}`);
}

/** Bytes that may be text in any ASCII-compatible encoding: searched and cut byte by byte. */
function bytesWithoutHits(bytes: Uint8Array, how: ValueDetector): Uint8Array | undefined {
  const clean = withoutHits(latin1(bytes), how.detectors, how.counts);
  return clean === undefined ? undefined : Buffer.from(clean, 'latin1');
}

/** One version byte (1), then the text. */
function jsonbReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  const text = textReplacement(value.subarray(1), how, jsonWithoutHits);
  if (text === undefined || text === null) return text;
  const result = new Uint8Array(1 + text.length);
  result.set(value.subarray(0, 1));
  result.set(text, 1);
  return result;
}

/**
 * Arrays, rows and everything whose binary form we do not take apart (ranges, hstore, tsvector):
 * where there is a hit the whole value becomes NULL, since its length words would be wrong.
 */
function nestedReplacement(value: Uint8Array, typeOid: number, how: ValueDetector): Replacement {
  const parts = nestedValues(value, typeOid);
  if (parts === undefined) {
    const narrowed = narrow(value, 'text', how);
    const isFound = narrowed !== undefined && bytesWithoutHits(value, narrowed) !== undefined;
    return isFound ? null : undefined;
  }
  let found = false;
  for (const part of parts) {
    if (!isDetectable(part.typeOid, true)) continue;
    if (valueWithoutHits(part.value, part.typeOid, 1, how) !== undefined) found = true;
  }
  return found ? null : undefined;
}
