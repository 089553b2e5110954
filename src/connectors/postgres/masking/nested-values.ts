/** The values inside a binary array or row, without interpreting them. */
import { ELEMENT_TYPE, TYPE } from './type-oids.ts';

export interface NestedValue {
  readonly typeOid: number;
  /** A view of the outer value. */
  readonly value: Uint8Array;
}

/** Of the server, MAXDIM in src/include/utils/array.h. */
const MAX_DIMENSIONS = 6;
const ARRAY_HEADER = 12;

/**
 * Types are told apart by their shape, because composite types and their arrays have OIDs of their
 * own. @returns undefined when the bytes have neither shape.
 */
export function nestedValues(value: Uint8Array, typeOid: number): NestedValue[] | undefined {
  if (typeOid === TYPE.record) return rowValues(value);
  if (ELEMENT_TYPE.has(typeOid)) return arrayValues(value);
  return arrayValues(value) ?? rowValues(value);
}

/**
 *     Int32 dimensions, Int32 has-null, Int32 element type, (Int32 size, Int32 bound)[dimensions],
 *     (Int32 length, bytes)[elements]
 *
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c (array_send)
 */
function arrayValues(value: Uint8Array): NestedValue[] | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (view.byteLength < ARRAY_HEADER) return undefined;
  const dimensions = view.getInt32(0);
  const hasNull = view.getInt32(4);
  if (dimensions < 0 || dimensions > MAX_DIMENSIONS || hasNull < 0 || hasNull > 1) return undefined;
  const typeOid = view.getUint32(8);
  const values: NestedValue[] = [];
  let offset = ARRAY_HEADER + 8 * dimensions;
  while (offset < view.byteLength) {
    const end = pushValue(value, view, offset, typeOid, values);
    if (end === undefined) return undefined;
    offset = end;
  }
  return offset === view.byteLength ? values : undefined;
}

/**
 *     Int32 fields, (Int32 type, Int32 length, bytes)[fields]
 *
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/rowtypes.c (record_send)
 */
function rowValues(value: Uint8Array): NestedValue[] | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (view.byteLength < 4) return undefined;
  const fields = view.getInt32(0);
  const values: NestedValue[] = [];
  let offset = 4;
  for (let field = 0; field < fields; field += 1) {
    if (offset + 8 > view.byteLength) return undefined;
    const end = pushValue(value, view, offset + 4, view.getUint32(offset), values);
    if (end === undefined) return undefined;
    offset = end;
  }
  return fields >= 0 && offset === view.byteLength ? values : undefined;
}

/** @returns the offset after the value whose length word is at `offset`. */
function pushValue(
  value: Uint8Array,
  view: DataView,
  offset: number,
  typeOid: number,
  values: NestedValue[],
): number | undefined {
  if (offset + 4 > view.byteLength) return undefined;
  const length = view.getInt32(offset);
  if (length === -1) return offset + 4;
  const end = offset + 4 + length;
  if (length < 0 || end > view.byteLength) return undefined;
  values.push({ typeOid, value: value.subarray(offset + 4, end) });
  return end;
}
