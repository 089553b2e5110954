/**
 * Body of a GROUP frame: what one turn of the event loop leaves in the record, of all streams, in
 * order. Statements and the decisions on them, results and their bytes cost one frame together.
 *
 *     u32 n | n × (u8 type | u32 length | body [length])
 *
 * type is that of the frame which the record would be alone, DATA or EVENT. In the `events` member
 * of a bundle a DATA record has only the 13 bytes before the data, but its length is that of the
 * whole.
 */

import { FormatError } from '../../format-error.ts';
import { ByteReader } from './byte-reader.ts';
import { DATA_PREFIX_LENGTH, type DataBody, decodeDataBody } from './data-body.ts';
import { FRAME_TYPES } from './frame.ts';

export const GROUP_HEAD = 4;
export const GROUP_RECORD_HEAD = 5;

export type GroupRecord =
  | { readonly type: 'event'; readonly body: Uint8Array }
  | {
      readonly type: 'data';
      readonly data: Omit<DataBody, 'bytes'>;
      readonly prefix: Uint8Array;
      /** Of the data, without the prefix. */
      readonly length: number;
      /** Empty when they were left out. */
      readonly bytes: Uint8Array;
    };

export function encodeGroupRecordHead(type: 'data' | 'event', length: number): Uint8Array {
  const head = Buffer.allocUnsafe(GROUP_RECORD_HEAD);
  writeGroupRecordHead(head, 0, type, length);
  return head;
}

export function writeGroupRecordHead(
  bytes: Buffer,
  at: number,
  type: 'data' | 'event',
  length: number,
): void {
  bytes.writeUInt8(FRAME_TYPES[type], at);
  bytes.writeUInt32BE(length, at + 1);
}

export function encodeGroupHead(count: number): Uint8Array {
  const head = Buffer.allocUnsafe(GROUP_HEAD);
  head.writeUInt32BE(count, 0);
  return head;
}

/** @throws FormatError */
export function decodeGroup(body: Uint8Array): GroupRecord[] {
  const reader = new ByteReader(body, 'a group');
  return readGroup(body.length, (length) => reader.bytes(length), 'whole');
}

/** What of a whole body goes into a bundle's `events` member: all but the data. */
export function withoutData(body: Uint8Array): Uint8Array {
  const records = decodeGroup(body);
  const kept: Uint8Array[] = [body.subarray(0, GROUP_HEAD)];
  for (const record of records) {
    const { type } = record;
    const all = type === 'data' ? DATA_PREFIX_LENGTH + record.length : record.body.length;
    kept.push(encodeGroupRecordHead(type, all), type === 'data' ? record.prefix : record.body);
  }
  return Buffer.concat(kept);
}

/**
 * @param wholeLength of the body as it was recorded
 * @param take gives the next bytes
 * @param data whether the bytes of DATA follow their prefix
 * @throws FormatError
 */
export function readGroup(
  wholeLength: number,
  take: (length: number) => Uint8Array,
  data: 'whole' | 'left out',
): GroupRecord[] {
  const records: GroupRecord[] = [];
  let rest = wholeLength - GROUP_HEAD;
  if (rest < 0) {
    throw new FormatError('a group is too short');
  }
  const count = new ByteReader(take(GROUP_HEAD), 'a group').u32();
  while (rest > 0) {
    const head = new ByteReader(take(GROUP_RECORD_HEAD), 'a group');
    const type = head.u8();
    const length = head.u32();
    rest -= GROUP_RECORD_HEAD + length;
    if (rest < 0) {
      throw new FormatError('a group holds more than it is long');
    }
    if (type === FRAME_TYPES.event) {
      records.push({ type: 'event', body: take(length) });
    } else if (type === FRAME_TYPES.data && length >= DATA_PREFIX_LENGTH) {
      records.push(dataRecord(length, take, data));
    } else {
      throw new FormatError('a group holds what does not belong there');
    }
  }
  if (records.length !== count || count === 0) {
    throw new FormatError(`a group counts ${count} records and holds ${records.length}`);
  }
  return records;
}

function dataRecord(
  length: number,
  take: (length: number) => Uint8Array,
  data: 'whole' | 'left out',
): GroupRecord {
  const prefix = take(DATA_PREFIX_LENGTH);
  const { stream, direction, offset } = decodeDataBody(prefix);
  const dataLength = length - DATA_PREFIX_LENGTH;
  const bytes = data === 'whole' ? take(dataLength) : new Uint8Array(0);
  return { type: 'data', data: { stream, direction, offset }, prefix, length: dataLength, bytes };
}
