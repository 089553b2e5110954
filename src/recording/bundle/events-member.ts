/**
 * The `events` member of a bundle: every frame of the gateway's file, decrypted, without the bytes
 * of DATA, which are in the chunks. The head chain covers the headers and the digests in them, hence
 * all events and the time and place of every piece of data.
 *
 *     "HOOPEVT2"
 *     record: u8 1 | segment header [100]
 *           | u8 2 | frame header [60] | body
 *           | u8 3 | frame header [60]          (body withheld)
 *
 * body: of DATA the 13 bytes before the data, of GROUP the same within its records, of others the
 * whole plain body.
 */

import { FormatError, OldFormatError } from '../../format-error.ts';
import { ByteReader } from '../formats/byte-reader.ts';
import { DATA_PREFIX_LENGTH, type DataBody, decodeDataBody } from '../formats/data-body.ts';
import { utf8 } from '../formats/encoding.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_LENGTH,
  type FrameHeader,
  type FrameType,
  TAG_LENGTH,
} from '../formats/frame.ts';
import { type GroupRecord, readGroup, withoutData } from '../formats/group-body.ts';
import {
  decodeSegmentHeader,
  SEGMENT_HEADER_LENGTH,
  type SegmentHeader,
} from '../formats/segment-header.ts';

export const EVENTS_MAGIC = utf8('HOOPEVT2');
export const SEGMENT_RECORD_LENGTH = 1 + SEGMENT_HEADER_LENGTH;

const RECORDS = { segment: 1, frame: 2, withheld: 3 } as const;
const FRAME_RECORD_HEAD = 1 + FRAME_HEADER_LENGTH;
const OLD_MAGIC = utf8('HOOPEVT1');

export type EventsRecord =
  | { readonly type: 'segment'; readonly header: SegmentHeader; readonly bytes: Uint8Array }
  | {
      readonly type: 'data';
      readonly header: FrameHeader;
      readonly headerBytes: Uint8Array;
      readonly data: Omit<DataBody, 'bytes'>;
      readonly length: number;
    }
  | {
      readonly type: 'group';
      readonly header: FrameHeader;
      readonly headerBytes: Uint8Array;
      readonly records: readonly GroupRecord[];
    }
  | {
      readonly type: 'frame';
      readonly header: FrameHeader & { readonly type: Exclude<FrameType, 'data' | 'group'> };
      readonly headerBytes: Uint8Array;
      readonly body: Uint8Array;
    }
  | { readonly type: 'withheld'; readonly header: FrameHeader; readonly headerBytes: Uint8Array };

export function encodeSegmentRecord(header: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(RECORDS.segment), header]);
}

/** @param body the whole plain body; of DATA frames only its prefix goes in */
export function encodeFrameRecord(
  header: FrameHeader,
  headerBytes: Uint8Array,
  body: Uint8Array,
): Uint8Array {
  return Buffer.concat([Uint8Array.of(RECORDS.frame), headerBytes, keptOf(header, body)]);
}

/** @param headerBytes of a frame whose body is not told */
export function encodeWithheldRecord(headerBytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(RECORDS.withheld), headerBytes]);
}

/** Length of the record of one frame. @param body the whole plain body */
export function eventRecordLength(header: FrameHeader, body: Uint8Array): number {
  return FRAME_RECORD_HEAD + keptOf(header, body).length;
}

function keptOf(header: FrameHeader, body: Uint8Array): Uint8Array {
  switch (header.type) {
    case 'data':
      return body.subarray(0, DATA_PREFIX_LENGTH);
    case 'group':
      return withoutData(body);
    default:
      return body;
  }
}

/** Reads a part of the member; throws FormatError past its end. */
export type MemberReader = (offset: number, length: number) => Uint8Array;

/** Read at once: the records between are small. */
const WINDOW = 1 << 20;

/**
 * Record by record; the views it gives out are the caller's to keep.
 * @throws FormatError
 */
export function* readEventsMember(size: number, read: MemberReader): Generator<EventsRecord> {
  const cursor = new MemberCursor(size, read);
  const magic = cursor.take(EVENTS_MAGIC.length);
  if (Buffer.compare(magic, OLD_MAGIC) === 0) {
    throw new OldFormatError();
  }
  if (Buffer.compare(magic, EVENTS_MAGIC) !== 0) {
    throw new FormatError('the events have an unknown form');
  }
  while (cursor.remaining > 0) {
    yield readRecord(cursor);
  }
}

function readRecord(cursor: MemberCursor): EventsRecord {
  const kind = cursor.take(1)[0];
  if (kind === RECORDS.segment) {
    const bytes = cursor.take(SEGMENT_HEADER_LENGTH);
    return { type: 'segment', header: decodeSegmentHeader(bytes), bytes };
  }
  if (kind !== RECORDS.frame && kind !== RECORDS.withheld) {
    throw new FormatError('the events have a record of an unknown kind');
  }
  const headerBytes = cursor.take(FRAME_HEADER_LENGTH);
  const header = decodeFrameHeader(headerBytes);
  if (kind === RECORDS.withheld) {
    return { type: 'withheld', header, headerBytes };
  }
  const plainLength = header.bodyLength - TAG_LENGTH;
  if (header.type === 'group') {
    const records = readGroup(plainLength, (length) => cursor.take(length), 'left out');
    return { type: 'group', header, headerBytes, records };
  }
  const { type } = header;
  if (type !== 'data') {
    const body = cursor.take(plainLength);
    return { type: 'frame', header: { ...header, type }, headerBytes, body };
  }
  const body = cursor.take(DATA_PREFIX_LENGTH);
  const length = plainLength - DATA_PREFIX_LENGTH;
  if (length < 0) {
    throw new FormatError('a data frame is too short');
  }
  const { stream, direction, offset } = decodeDataBody(body);
  return {
    type: 'data',
    header,
    headerBytes,
    data: { stream, direction, offset },
    length,
  };
}

class MemberCursor {
  readonly #size: number;
  readonly #read: MemberReader;
  #at = 0;
  #window = new ByteReader(new Uint8Array(0), 'the events');

  constructor(size: number, read: MemberReader) {
    this.#size = size;
    this.#read = read;
  }

  get remaining(): number {
    return this.#size - this.#at;
  }

  take(length: number): Uint8Array {
    if (length > this.remaining) {
      throw new FormatError('the events end early');
    }
    if (length > this.#window.remaining) {
      const bytes = this.#read(this.#at, Math.min(this.remaining, Math.max(length, WINDOW)));
      this.#window = new ByteReader(bytes, 'the events');
    }
    this.#at += length;
    return this.#window.bytes(length);
  }
}
