/**
 * Detectors on one column value, by type and format. The replacement is valid for the type: text
 * keeps its other characters, JSON stays JSON, arrays and rows keep their shape, and where no such
 * replacement exists the value becomes NULL.
 */
import type { DetectorName } from '../policy/types.ts';
import { countHit, type HitCounts, mayHoldHit, withoutHits } from './detect-text.ts';
import { jsonWithoutHits } from './json-text.ts';
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
  /**
   * UTF-8 for client_encoding UTF8 and SQL_ASCII, else a codec with one character per byte: the
   * detectors look for ASCII, and what is not a hit must come out byte for byte.
   */
  readonly decode: (bytes: Uint8Array) => string;
  readonly encode: (text: string) => Uint8Array;
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
      return encoded(jsonWithoutHits(how.decode(value), how.detectors, how.counts), how);
    case TYPE.bytea:
      return hexReplacement(value, how);
    default: {
      const element = ELEMENT_TYPE.get(typeOid);
      if (element !== undefined && isNumberType(element)) return numberArrayReplacement(value, how);
      return encoded(withoutHits(how.decode(value), how.detectors, how.counts), how);
    }
  }
}

function encoded(text: string | undefined, how: ValueDetector): Replacement {
  return text === undefined ? undefined : how.encode(text);
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
      : value.length >= 13 && value.length <= 64 && isCardInText(how.decode(value));
  if (!isCard) return undefined;
  countHit(how.counts, 'card');
  return null;
}

/** `{1,4539148803436467,NULL}`: an element that is no number would not be valid, NULL is. */
function numberArrayReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (!how.detectors.has('card')) return undefined;
  let found = false;
  const text = how.decode(value).replace(/[^{},]+/g, (element) => {
    if (!isCardInText(element)) return element;
    found = true;
    countHit(how.counts, 'card');
    return 'NULL';
  });
  return found ? how.encode(text) : undefined;
}

/** `\x3435…`: a bytea that is text inside is searched as text. */
function hexReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (value[0] !== 0x5c || value[1] !== 0x78) {
    return encoded(withoutHits(how.decode(value), how.detectors, how.counts), how);
  }
  const hex = Buffer.from(value.buffer, value.byteOffset + 2, value.length - 2).toString('latin1');
  const inner = Buffer.from(hex, 'hex');
  const clean = bytesWithoutHits(inner, how);
  return clean === undefined ? undefined : how.encode(`\\x${Buffer.from(clean).toString('hex')}`);
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
    return encoded(withoutHits(how.decode(value), how.detectors, how.counts), how);
  }
  if (typeOid === TYPE.json) {
    if (!mayHoldHit(value)) return undefined;
    return encoded(jsonWithoutHits(how.decode(value), how.detectors, how.counts), how);
  }
  if (typeOid === TYPE.jsonb) return jsonbReplacement(value, how);
  if (typeOid === TYPE.bytea) return bytesWithoutHits(value, how);
  return nestedReplacement(value, typeOid, how);
}

/** One version byte (1), then the text. */
function jsonbReplacement(value: Uint8Array, how: ValueDetector): Replacement {
  if (!mayHoldHit(value)) return undefined;
  const clean = jsonWithoutHits(how.decode(value.subarray(1)), how.detectors, how.counts);
  if (clean === undefined) return undefined;
  const text = how.encode(clean);
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
