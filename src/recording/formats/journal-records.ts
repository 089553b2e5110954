/**
 * The files of a client's journal, which hold no byte of any stream, and no key that would let
 * somebody guess one:
 *
 *     journal          "HOOPJNL2" ‖ session id [16], then records PROPOSED and AGREED
 *     open-0, open-1   "HOOPOPN2" ‖ session id [16], then records LEAVES
 *
 *     record           u8 type ‖ u32 length ‖ body [length] ‖ u32 crc32 of all before
 *     1 PROPOSED       u32 length ‖ body of a CUT that the client has signed ‖ its leaves [32] each, in order
 *     2 AGREED         body of a CUT with both signatures
 *     3 LEAVES         u32 epoch ‖ n × (u32 stream ‖ u8 direction ‖ u64 offset ‖ u32 length ‖ leaf [32])
 *
 * `open-<n>` has what cut number `epoch`, which is not proposed yet, would sign; n is its parity.
 * Integers are big-endian. What is not a whole record at the end of a file was never written.
 */
import { crc32 } from 'node:zlib';
import { FormatError } from '../../format-error.ts';
import { sessionIdBytes } from '../../session-id.ts';
import type { LeafPoint } from '../write/running-leaves.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { DATA_PREFIX_LENGTH, writeDataPrefix } from './data-body.ts';
import { utf8 } from './encoding.ts';
import { HASH_LENGTH } from './merkle-tree.ts';
import type { Direction } from './types.ts';

export const JOURNAL_FILE = 'journal';

const JOURNAL_MAGIC = utf8('HOOPJNL2');
const OPEN_MAGIC = utf8('HOOPOPN2');
const RECORD_TYPES = { proposed: 1, agreed: 2, leaves: 3 } as const;
export type JournalRecordType = keyof typeof RECORD_TYPES;

const TYPE_NAMES: ReadonlyMap<number, JournalRecordType> = new Map(
  // The keys of a const object are its key type; Object.entries only knows string.
  Object.entries(RECORD_TYPES).map(([name, code]) => [code, name as JournalRecordType]),
);
/** Type, length, checksum. */
const FRAMING_LENGTH = 1 + 4 + 4;
const POINT_LENGTH = DATA_PREFIX_LENGTH + 4 + HASH_LENGTH;

export interface JournalRecord {
  readonly type: JournalRecordType;
  readonly body: Uint8Array;
}

/** The file that has the leaves of cut number `epoch` while that is not proposed. */
export function openFileName(epoch: number): string {
  return `open-${epoch % 2}`;
}

/** One record that a later upload has added. @param records how many there were before it */
export function journalPartName(records: number): string {
  return `${JOURNAL_FILE}-${records}`;
}

export function journalHeader(session: string): Uint8Array {
  return Buffer.concat([JOURNAL_MAGIC, sessionIdBytes(session)]);
}

export function openFileHeader(session: string): Uint8Array {
  return Buffer.concat([OPEN_MAGIC, sessionIdBytes(session)]);
}

export function encodeJournalRecord({ type, body }: JournalRecord): Uint8Array {
  const record = Buffer.allocUnsafe(FRAMING_LENGTH + body.length);
  record.writeUInt8(RECORD_TYPES[type], 0);
  record.writeUInt32BE(body.length, 1);
  record.set(body, 5);
  const end = record.length - 4;
  record.writeUInt32BE(crc32(record.subarray(0, end)), end);
  return record;
}

/** @param leaves 32 bytes for each chunk of the cut */
export function encodeProposed(cut: Uint8Array, leaves: Uint8Array): JournalRecord {
  const body = new ByteWriter(4 + cut.length + leaves.length)
    .u32(cut.length)
    .bytes(cut)
    .bytes(leaves)
    .finish();
  return { type: 'proposed', body };
}

/** @throws FormatError */
export function decodeProposed(body: Uint8Array): {
  readonly cut: Uint8Array;
  readonly leaves: Uint8Array;
} {
  const reader = new ByteReader(body, 'a proposed cut');
  return { cut: reader.bytes(reader.u32()), leaves: reader.rest() };
}

/** @param points all of one epoch */
export function encodeLeaves(epoch: number, points: readonly LeafPoint[]): Uint8Array {
  const body = Buffer.allocUnsafe(4 + points.length * POINT_LENGTH);
  let at = body.writeUInt32BE(epoch, 0);
  for (const { place, leaf } of points) {
    const { stream, direction, offset, length } = place;
    writeDataPrefix(body, at, stream, direction, offset);
    at = body.writeUInt32BE(length, at + DATA_PREFIX_LENGTH);
    body.set(leaf, at);
    at += HASH_LENGTH;
  }
  return body;
}

/** @throws FormatError */
export function decodeLeaves(body: Uint8Array): LeafPoint[] {
  const reader = new ByteReader(body, 'a record of leaves');
  const epoch = reader.u32();
  const points: LeafPoint[] = [];
  while (reader.remaining > 0) {
    const stream = reader.u32();
    const direction = directionOf(reader.u8());
    const place = { epoch, stream, direction, offset: reader.u64(), length: reader.u32() };
    points.push({ place, leaf: reader.bytes(HASH_LENGTH) });
  }
  return points;
}

export interface JournalRecords {
  readonly records: readonly JournalRecord[];
  /** Bytes up to the end of the last whole record. */
  readonly length: number;
  /** What follows is not what a crash leaves: an end without its rest, or zeros. */
  readonly isDamaged: boolean;
}

export function readJournalRecords(bytes: Uint8Array, header: Uint8Array): JournalRecords {
  const records: JournalRecord[] = [];
  if (bytes.length < header.length) {
    // Whoever made the file died over it, or before: nothing had gone on yet.
    const isBegun = Buffer.compare(bytes, header.subarray(0, bytes.length)) === 0;
    return { records, length: 0, isDamaged: !isBegun && bytes.some((byte) => byte !== 0) };
  }
  if (Buffer.compare(bytes.subarray(0, header.length), header) !== 0) {
    return { records, length: 0, isDamaged: true };
  }
  let length = header.length;
  for (;;) {
    const record = recordAt(bytes, length);
    if (record === undefined) {
      return { records, length, isDamaged: !isTorn(bytes, length) };
    }
    records.push(record);
    length += FRAMING_LENGTH + record.body.length;
  }
}

/** @returns undefined when there is no whole one */
function recordAt(bytes: Uint8Array, at: number): JournalRecord | undefined {
  if (bytes.length - at < FRAMING_LENGTH) {
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  const type = TYPE_NAMES.get(view.getUint8(0));
  const end = FRAMING_LENGTH + view.getUint32(1) - 4;
  if (type === undefined || end + 4 > view.byteLength) {
    return undefined;
  }
  const isWhole = view.getUint32(end) === crc32(bytes.subarray(at, at + end));
  return isWhole ? { type, body: bytes.subarray(at + 5, at + end) } : undefined;
}

/** What a disk writes at once, and a disk without power does not. */
const SECTOR_BYTES = 512;

/**
 * Whether what begins here was not written to its end: the file ends first, or from some sector in it
 * on there are only zeros, as a disk without power shows them where it had not written yet.
 */
function isTorn(bytes: Uint8Array, at: number): boolean {
  const rest = bytes.subarray(at);
  if (rest.length < FRAMING_LENGTH) {
    return true;
  }
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
  const isKnown = TYPE_NAMES.has(view.getUint8(0));
  const end = at + FRAMING_LENGTH + (isKnown ? view.getUint32(1) : 0);
  if (isKnown && end > bytes.length) {
    return true;
  }
  const sector = Math.floor((end - 1) / SECTOR_BYTES) * SECTOR_BYTES;
  const zeros = bytes.subarray(isKnown ? Math.max(at, sector) : at);
  return zeros.every((byte) => byte === 0);
}

function directionOf(value: number): Direction {
  if (value !== 0 && value !== 1) {
    throw new FormatError('a leaf is of no direction');
  }
  return value;
}
