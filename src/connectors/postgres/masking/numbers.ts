/** Card numbers that were computed into a number: int8, numeric and float8, in both formats. */
import { isCardNumber } from '../../../masking/detectors/card.ts';
import { TYPE } from './type-oids.ts';

const NUMERIC_DIGITS_PER_GROUP = 4;
const NUMERIC_BASE = 10_000;
/** Groups that a number of 19 digits takes, and its fraction of zeros. */
const MAX_GROUPS = 16;

export function isNumberType(typeOid: number): boolean {
  return typeOid === TYPE.int8 || typeOid === TYPE.numeric || typeOid === TYPE.float8;
}

export function isCardInText(text: string): boolean {
  const digits = /^-?(\d{13,19})(?:\.0*)?$/.exec(text)?.[1];
  if (digits !== undefined) return isCardNumber(digits);
  return /e\+?1[2-8]$/i.test(text) && isCardFloat(Number(text));
}

export function isCardInBinary(value: Uint8Array, typeOid: number): boolean {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  switch (typeOid) {
    case TYPE.int8:
      return value.length === 8 && isCardNumber(String(view.getBigInt64(0)).replace('-', ''));
    case TYPE.float8:
      return value.length === 8 && isCardFloat(view.getFloat64(0));
    case TYPE.numeric:
      return isCardNumber(numericInteger(view));
    default:
      return false;
  }
}

function isCardFloat(value: number): boolean {
  return Number.isInteger(value) && isCardNumber(BigInt(Math.abs(value)).toString());
}

/**
 * Integer part of a binary numeric, '' when it has a fraction or is no number:
 *
 *     Int16 ndigits, Int16 weight, Int16 sign, Int16 dscale, Int16[ndigits] base-10000 digits
 *
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/numeric.c (numeric_send)
 */
function numericInteger(view: DataView): string {
  if (view.byteLength < 8) return '';
  const count = view.getInt16(0);
  const weight = view.getInt16(2);
  if (count < 0 || count > MAX_GROUPS || weight < 0 || weight > MAX_GROUPS) return '';
  if (view.byteLength !== 8 + 2 * count) return '';
  let digits = '';
  for (let group = 0; group < Math.max(count, weight + 1); group += 1) {
    const value = group < count ? view.getInt16(8 + 2 * group) : 0;
    if (value < 0 || value >= NUMERIC_BASE) return '';
    if (group > weight) {
      if (value !== 0) return '';
    } else {
      digits += String(value).padStart(NUMERIC_DIGITS_PER_GROUP, '0');
    }
  }
  return digits.replace(/^0+/, '');
}
