/**
 * The binary format of COPY:
 *
 *     Byte11 'PGCOPY\n\xff\r\n\0', Int32 flags, Int32 length of more header,
 *     (Int16 fields, (Int32 length | -1, bytes)[fields])[rows], Int16 -1
 *
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY
 */
import { ProtocolError } from '../../../errors.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import { readInt16, readInt32 } from './big-endian.ts';
import {
  type CopyPart,
  type CopyScanner,
  type CopyStage,
  equals,
  wrongColumns,
} from './copy-format.ts';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER = 19;
const TRAILER = -1;

export class BinaryScanner implements CopyScanner {
  readonly #columns: number;
  readonly starts: number[];
  readonly ends: number[];
  count = 0;
  part: CopyPart = 'frame';
  readonly respellsNull = false;
  readonly prefix = 4;
  stage: CopyStage = 'first';

  constructor(columns: number) {
    this.#columns = columns;
    this.starts = new Array(columns).fill(0);
    this.ends = new Array(columns).fill(0);
  }

  get isComplete(): boolean {
    return this.stage === 'end';
  }

  scan(bytes: Uint8Array, at: number): number {
    if (this.stage === 'end') throw new ProtocolError('a COPY goes on behind its end');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.stage === 'first') return this.#header(bytes, view, at);
    if (bytes.length - at < 2) return -1;
    const columns = view.getInt16(at);
    if (columns === TRAILER) {
      this.part = 'frame';
      this.stage = 'end';
      return at + 2;
    }
    if (columns !== this.#columns) throw wrongColumns();
    let offset = at + 2;
    for (let index = 0; index < columns; index += 1) {
      if (bytes.length - offset < 4) return -1;
      const length = view.getInt32(offset);
      if (length < -1) throw new ProtocolError('a value of the COPY has no length');
      this.starts[index] = offset;
      offset += 4 + Math.max(length, 0);
      this.ends[index] = offset;
      if (offset > bytes.length) return -1;
    }
    this.part = 'row';
    this.count = columns;
    return offset;
  }

  isRow(bytes: Uint8Array, at: number, end: number): boolean {
    const columns = this.#columns;
    if (this.stage !== 'rows' || end - at < 2 || readInt16(bytes, at) !== columns) return false;
    let offset = at + 2;
    for (let index = 0; index < columns; index += 1) {
      if (end - offset < 4) return false;
      const length = readInt32(bytes, offset);
      this.starts[index] = offset;
      offset += 4 + Math.max(length, 0);
      this.ends[index] = offset;
      if (length < -1 || offset > end) return false;
    }
    this.part = 'row';
    this.count = columns;
    return offset === end;
  }

  place(bytes: Uint8Array, index: number, place: Stretch): 'null' | 'plain' {
    const start = this.starts[index] ?? 0;
    if (readInt32(bytes, start) < 0) return 'null';
    place.bytes = bytes;
    place.start = start + 4;
    place.end = this.ends[index] ?? 0;
    return 'plain';
  }

  isPlain(): boolean {
    return true;
  }

  #header(bytes: Uint8Array, view: DataView, at: number): number {
    if (bytes.length - at < HEADER) return -1;
    const isKnown =
      equals(bytes, at, at + SIGNATURE.length, SIGNATURE) &&
      view.getInt32(at + SIGNATURE.length) === 0 &&
      view.getInt32(at + SIGNATURE.length + 4) === 0;
    if (!isKnown) throw new ProtocolError('the header of the binary COPY is not known');
    this.part = 'frame';
    this.stage = 'rows';
    return at + HEADER;
  }

  value(bytes: Uint8Array, index: number): Uint8Array | null {
    const start = this.starts[index] ?? 0;
    const value = bytes.subarray(start + 4, this.ends[index] ?? 0);
    return value.length === 0 && bytes[start] === 0xff ? null : value;
  }

  encode(value: Uint8Array | null): Uint8Array {
    const out = new Uint8Array(4 + (value?.length ?? 0));
    new DataView(out.buffer).setInt32(0, value === null ? -1 : value.length);
    if (value !== null) out.set(value, 4);
    return out;
  }
}
