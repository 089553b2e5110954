/** Reads frames back from segment files by position. */
import type { KeyObject } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { FormatError } from '../../format-error.ts';
import { type DataBody, decodeDataBody } from '../formats/data-body.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_LENGTH,
  frameLength,
  MAX_BODY_LENGTH,
  openFrame,
  segmentKey,
} from '../formats/frame.ts';
import { decodeGroup, type GroupRecord } from '../formats/group-body.ts';
import { SEGMENT_HEADER_LENGTH } from '../formats/segment-header.ts';
import { segmentName } from './segment-writer.ts';

const MAX_FRAME_LENGTH = FRAME_HEADER_LENGTH + MAX_BODY_LENGTH;
/** Of the small frames of one read-ahead; a larger frame is read as long as it is. */
const READ_AHEAD = 128 * 1024;

export class SegmentFiles implements Disposable {
  readonly #directory: string;
  readonly #dataKey: Uint8Array;
  readonly #open = new Map<number, { readonly fd: number; readonly key: KeyObject }>();
  readonly #window = Buffer.allocUnsafe(READ_AHEAD);
  #large = Buffer.alloc(0);
  #windowSegment = 0;
  #windowStart = 0;
  #windowLength = 0;
  /** The group that was read last: it can hold thousands of records, each read on its own. */
  #group: { readonly segment: number; readonly position: number; at: number } | undefined;
  #records: readonly GroupRecord[] = [];

  constructor(directory: string, dataKey: Uint8Array) {
    this.#directory = directory;
    this.#dataKey = dataKey;
  }

  /**
   * The bytes of a DATA frame, or of the DATA record of a group that begins at this place of its
   * stream. The memory is the caller's.
   * @throws FormatError
   */
  readData(segment: number, position: number, place: Omit<DataBody, 'bytes'>): Uint8Array {
    if (this.#group?.segment === segment && this.#group.position === position) {
      return this.#recordAt(this.#group, place);
    }
    const file = this.#file(segment);
    const header = decodeFrameHeader(this.#read(file.fd, segment, position, FRAME_HEADER_LENGTH));
    const length = frameLength(header);
    const frame = this.#read(file.fd, segment, position, length);
    const body = openFrame(file.key, segment, header, frame);
    if (header.type !== 'group') {
      return decodeDataBody(body).bytes;
    }
    this.#records = decodeGroup(body);
    this.#group = { segment, position, at: 0 };
    return this.#recordAt(this.#group, place);
  }

  /** Records are asked for in their order: the one that is looked for is near the one before. */
  #recordAt(group: { at: number }, place: Omit<DataBody, 'bytes'>): Uint8Array {
    const count = this.#records.length;
    for (let step = 0; step < count; step += 1) {
      const index = (group.at + step) % count;
      const record = this.#records[index];
      if (record?.type === 'data' && isAt(record.data, place)) {
        group.at = index + 1;
        return record.bytes;
      }
    }
    throw new FormatError('a group does not have the data that was recorded');
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) {
      closeSync(fd);
    }
    this.#open.clear();
    this.#windowLength = 0;
    this.#group = undefined;
    this.#records = [];
  }

  /** @throws FormatError */
  #file(segment: number): { readonly fd: number; readonly key: KeyObject } {
    let file = this.#open.get(segment);
    if (file === undefined) {
      const fd = openSync(join(this.#directory, segmentName(segment)), 'r');
      const header = Buffer.alloc(SEGMENT_HEADER_LENGTH);
      try {
        fill(fd, header, 0, SEGMENT_HEADER_LENGTH);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
      file = { fd, key: segmentKey(this.#dataKey, segment, header) };
      this.#open.set(segment, file);
    }
    return file;
  }

  /** A view that is valid until the next read. */
  #read(fd: number, segment: number, position: number, length: number): Uint8Array {
    if (length > READ_AHEAD) {
      if (this.#large.length < length) {
        this.#large = Buffer.allocUnsafe(Math.min(2 * length, MAX_FRAME_LENGTH));
      }
      const whole = this.#large.subarray(0, length);
      fill(fd, whole, position, length);
      return whole;
    }
    const end = this.#windowStart + this.#windowLength;
    const inside = position >= this.#windowStart && position + length <= end;
    if (this.#windowSegment !== segment || !inside) {
      this.#windowLength = readSync(fd, this.#window, 0, READ_AHEAD, position);
      this.#windowSegment = segment;
      this.#windowStart = position;
    }
    const from = position - this.#windowStart;
    if (from + length > this.#windowLength) {
      throw new FormatError('a segment is shorter than it was');
    }
    return this.#window.subarray(from, from + length);
  }
}

function isAt(data: Omit<DataBody, 'bytes'>, place: Omit<DataBody, 'bytes'>): boolean {
  return (
    data.offset === place.offset &&
    data.stream === place.stream &&
    data.direction === place.direction
  );
}

function fill(fd: number, target: Buffer, position: number, length: number): void {
  for (let done = 0; done < length; ) {
    const count = readSync(fd, target, done, length - done, position + done);
    if (count === 0) {
      throw new FormatError('a segment is shorter than it was');
    }
    done += count;
  }
}
