/**
 * Detectors on one column value, by type and format. The replacement is valid for the type: text
 * keeps its other characters, JSON stays JSON, arrays and rows keep their shape, and where no such
 * replacement exists the value becomes NULL.
 */

import { nestedValues } from '../../../../../src/connectors/postgres/masking/nested-values.ts';
import {
  ELEMENT_TYPE,
  isBuiltInText,
  OPAQUE_ARRAYS,
  OPAQUE_TO_DETECTORS,
  TYPE,
} from '../../../../../src/connectors/postgres/masking/type-oids.ts';
import type { DetectorName } from '../../../../../src/policy/types.ts';
import { countHit, type HitCounts, mayHoldHit, withoutHits } from './detect-text.ts';
import { jsonWithoutHits } from './json-text.ts';
import { isCardInBinary, isCardInText, isNumberType } from './numbers.ts';

export interface ValueDetector {
  readonly detectors: ReadonlySet<DetectorName>;
  readonly counts: HitCounts;
  /** Types that are plain strings in both formats though not built in: citext, enums. */
  readonly isText: (typeOid: number) => boolean;
  /** Whether text is UTF-8; else it is searched byte by byte, and so comes out as it was. */
  readonly isUtf8: boolean;
}

/** undefined = leave as it is, null = NULL. */
type Replacement = Uint8Array | null | undefined;

/** Whether a column of this type can hold a hit at all. */
export function isDetectable(typeOid: number, isDerived: boolean): boolean {
  if (OPAQUE_TO_DETECTORS.has(typeOid) || OPAQUE_ARRAYS.has(typeOid)) return false;
  // A stored number is an id or an amount; one in ten long ids passes the Luhn check.
  const element = ELEMENT_TYPE.get(typeOid) ?? typeOid;
  return isDerived || !isNumberType(element);
}

export function valueWithoutHits(
  value: Uint8Array,
  typeOid: number,
  format: 0 | 1,
  how: ValueDetector,
): Replacement {
  if (isNumberType(typeOid)) return numberReplacement(value, typeOid, format, how);
  if (format === 1) return binaryReplacement(value, typeOid, how);
  if (!mayHoldHit(value) && !(typeOid === TYPE.bytea && value.length > 2)) return undefined;
  switch (typeOid) {
    case TYPE.json:
    case TYPE.jsonb:
      return textReplacement(value, how, jsonWithoutHits);
    case TYPE.bytea:
      return hexReplacement(value, how);
    default: {
      const element = ELEMENT_TYPE.get(typeOid);
      if (element !== undefined && isNumberType(element)) return numberArrayReplacement(value, how);
      return textReplacement(value, how, withoutHits);
    }
  }
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
  if (!how.detectors.has('card')) return undefined;
  let found = false;
  const text = latin1(value).replace(/[^{},]+/g, (element) => {
    if (!isCardInText(element)) return element;
    found = true;
    countHit(how.counts, 'card');
    return 'NULL';
  });
  return found ? Buffer.from(text, 'latin1') : undefined;
}

/** `\x3435…`: a bytea that is text inside is searched as text. */
function hexReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (value[0] !== 0x5c || value[1] !== 0x78) {
    return textReplacement(value, how, withoutHits);
  }
  const hex = Buffer.from(value.buffer, value.byteOffset + 2, value.length - 2).toString('latin1');
  const inner = Buffer.from(hex, 'hex');
  const clean = bytesWithoutHits(inner, how);
  return clean === undefined ? undefined : Buffer.from(`\\x${Buffer.from(clean).toString('hex')}`);
}

/** Bytes that may be text in any ASCII-compatible encoding: searched and cut byte by byte. */
function bytesWithoutHits(bytes: Uint8Array, how: ValueDetector): Uint8Array | undefined {
  if (!mayHoldHit(bytes)) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const clean = withoutHits(text, how.detectors, how.counts);
  return clean === undefined ? undefined : Buffer.from(clean, 'latin1');
}

function binaryReplacement(value: Uint8Array, typeOid: number, how: ValueDetector): Replacement {
  if (isBuiltInText(typeOid) || typeOid === TYPE.xml || how.isText(typeOid)) {
    if (!mayHoldHit(value)) return undefined;
    return textReplacement(value, how, withoutHits);
  }
  if (typeOid === TYPE.json) {
    if (!mayHoldHit(value)) return undefined;
    return textReplacement(value, how, jsonWithoutHits);
  }
  if (typeOid === TYPE.jsonb) return jsonbReplacement(value, how);
  if (typeOid === TYPE.bytea) return bytesWithoutHits(value, how);
  return nestedReplacement(value, typeOid, how);
}

/** One version byte (1), then the text. */
function jsonbReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (!mayHoldHit(value)) return undefined;
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
  if (parts === undefined) return bytesWithoutHits(value, how) === undefined ? undefined : null;
  let found = false;
  for (const part of parts) {
    if (!isDetectable(part.typeOid, true)) continue;
    if (valueWithoutHits(part.value, part.typeOid, 1, how) !== undefined) found = true;
  }
  return found ? null : undefined;
}
