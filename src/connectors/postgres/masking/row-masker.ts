/**
 * Rewrites DataRow messages of one result: masks the columns that the verdict names, lets the
 * detectors look at the others, and gives back the very bytes where nothing changed. Built once per
 * result from RowDescription. Goes over a chunk by offsets: neither a row nor a value costs an object
 * where a mask can be written in place and the detectors see nothing.
 *
 *     DataRow: Byte1('D') Int32 length, Int16 columns, (Int32 length | -1, bytes)[columns]
 *
 * https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW
 */

import { ProtocolError } from '../../../errors.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import type { HitCounts } from '../../../masking/detect-text.ts';
import { LONGEST_MASK } from '../../../masking/mask-bytes.ts';
import { BACKEND } from '../protocol/message-types.ts';
import { readInt16, readInt32, writeInt32 } from './big-endian.ts';
import { ChunkOutput } from './chunk-output.ts';
import {
  ColumnMasker,
  type ColumnMaskerOptions,
  type InPlace,
  type MaskCounts,
  UNDECIDED,
} from './column-masker.ts';

const HEADER = 5;
const COUNT = 2;
const LENGTH = 4;

/** What has become of the rows at the beginning of a stretch. */
export interface RewrittenRows {
  /** Offset behind the last of them. */
  readonly end: number;
  readonly rows: number;
  /** What stands in their place: views of the chunk, and of memory that is not reused. */
  readonly pieces: readonly Uint8Array[];
}

export class RowMasker {
  readonly #columns: number;
  readonly #masker: ColumnMasker;
  /** Columns that are looked at, and how. */
  readonly #busy: readonly number[];
  readonly #inPlace: readonly InPlace[];
  /** Whether `replace` may have to decide of one before the row is written. */
  readonly #hasUndecided: boolean;
  /** Of the row in hand: where the length of each value stands. */
  readonly #places: Int32Array;
  /** Of the row in hand, for columns that `replace` decides of: undefined = unchanged. */
  readonly #replacements: (Uint8Array | null | undefined)[];
  readonly #output = new ChunkOutput();
  /** The value in hand. */
  readonly #value: Stretch = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(options: ColumnMaskerOptions) {
    this.#masker = new ColumnMasker(options);
    this.#columns = options.columns.length;
    this.#busy = this.#masker.busy;
    this.#inPlace = this.#busy.map((index) => this.#masker.inPlace[index] ?? 'value');
    this.#hasUndecided = this.#inPlace.some((how) => how === 'search' || how === 'value');
    this.#places = new Int32Array(this.#columns);
    this.#replacements = new Array(this.#busy.length).fill(undefined);
  }

  /** No column needs work: rows may pass without being looked at. */
  get isIdle(): boolean {
    return this.#masker.isIdle;
  }

  get maskedValues(): number {
    return this.#masker.maskedValues;
  }

  get detected(): HitCounts {
    return this.#masker.detected;
  }

  get seen(): HitCounts {
    return this.#masker.seen;
  }

  /** Adds what another masker has counted for rows of the same result. */
  add(counts: MaskCounts): void {
    this.#masker.add(counts);
  }

  /**
   * @param message a whole DataRow message, type byte included.
   * @returns `message` itself, or the new message.
   * @throws ProtocolError when the row does not have the shape of the description.
   */
  rewrite(message: Uint8Array): Uint8Array {
    const fault = this.#walk(message, 0, message.length);
    if (fault !== undefined) throw new ProtocolError(fault);
    this.#output.begin(message, 0);
    const isChanged = this.#row(message, 0, message.length);
    const [piece] = this.#output.finish(message.length);
    return isChanged ? (piece ?? message) : message;
  }

  /**
   * Rewrites DataRow messages that follow each other, up to the first that is not whole, not a row,
   * not as described (`rewrite` says how), or one more than may go on.
   */
  rewriteRows(chunk: Uint8Array, from: number, maxRows: number): RewrittenRows {
    const output = this.#output;
    output.begin(chunk, from);
    let at = from;
    let rows = 0;
    while (rows < maxRows && chunk.length - at >= HEADER && chunk[at] === BACKEND.DataRow) {
      const end = at + 1 + readInt32(chunk, at + 1);
      if (end > chunk.length || this.#walk(chunk, at, end) !== undefined) break;
      this.#row(chunk, at, end);
      rows += 1;
      at = end;
    }
    return { end: at, rows, pieces: output.finish(at) };
  }

  /** Finds the values of the row between the offsets. @returns what is wrong with it. */
  #walk(chunk: Uint8Array, at: number, end: number): string | undefined {
    const columns = this.#columns;
    const places = this.#places;
    let offset = at + HEADER + COUNT;
    if (end < offset || readInt16(chunk, at + HEADER) !== columns) {
      return 'DataRow does not match its RowDescription';
    }
    for (let index = 0; index < columns; index += 1) {
      if (offset + LENGTH > end) return 'DataRow is cut short';
      const length = readInt32(chunk, offset);
      places[index] = offset;
      offset += LENGTH;
      if (length > 0) offset += length;
      if (length < -1 || offset > end) return 'DataRow is cut short';
    }
    return offset === end ? undefined : 'DataRow has bytes after its last column';
  }

  /** @returns whether something of it has changed. */
  #row(chunk: Uint8Array, at: number, end: number): boolean {
    const growth = this.#hasUndecided ? this.#decide(chunk) : 0;
    const output = this.#output;
    let rowTo = -1;
    for (let busy = 0; busy < this.#busy.length; busy += 1) {
      const place = this.#places[this.#busy[busy] ?? 0] ?? 0;
      const length = readInt32(chunk, place);
      if (length < 0 || !this.#isReplaced(busy)) continue;
      if (rowTo === -1) rowTo = output.room(at, growth + this.#busy.length * LONGEST_MASK);
      output.replace(place, place + LENGTH + length);
      this.#write(chunk, place + LENGTH, length, busy);
    }
    if (rowTo === -1) return false;
    const { block } = output;
    if (block !== undefined) writeInt32(block, rowTo + 1, output.endOf(end) - rowTo - 1);
    return true;
  }

  /** Asks what becomes of the values that are not masked in place. @returns bytes that they may add. */
  #decide(chunk: Uint8Array): number {
    const masker = this.#masker;
    let growth = 0;
    for (let busy = 0; busy < this.#busy.length; busy += 1) {
      const how = this.#inPlace[busy];
      if (how !== 'search' && how !== 'value') continue;
      const index = this.#busy[busy] ?? 0;
      const place = this.#places[index] ?? 0;
      const start = place + LENGTH;
      const end = start + readInt32(chunk, place);
      let replacement: Uint8Array | null | undefined;
      if (end >= start && (how === 'value' || masker.mayReplace(chunk, start, end, index))) {
        replacement = masker.replace(chunk.subarray(start, end), index);
        growth += replacement?.length ?? 0;
      }
      this.#replacements[busy] = replacement;
    }
    return growth;
  }

  #isReplaced(busy: number): boolean {
    const how = this.#inPlace[busy];
    return (how !== 'search' && how !== 'value') || this.#replacements[busy] !== undefined;
  }

  /** Length and bytes of what stands in place of a value. */
  #write(chunk: Uint8Array, start: number, length: number, busy: number): void {
    const output = this.#output;
    const { block, to } = output;
    if (block === undefined) throw new TypeError('there is no room for a mask');
    const how = this.#inPlace[busy] ?? 'value';
    let replacement: Uint8Array | null = null;
    if (how === 'search' || how === 'value') replacement = this.#replacements[busy] ?? null;
    else if (how === 'null' || how === 'pass') this.#masker.maskedValues += 1;
    else {
      const value = this.#value;
      value.bytes = chunk;
      value.start = start;
      value.end = start + length;
      const written = this.#masker.writeMask(value, how, block, to + LENGTH);
      if (written !== UNDECIDED) {
        writeInt32(block, to, written);
        output.to = to + LENGTH + written;
        return;
      }
      const index = this.#busy[busy] ?? 0;
      replacement = this.#masker.replace(chunk.subarray(start, start + length), index) ?? null;
    }
    writeInt32(block, to, replacement === null ? -1 : replacement.length);
    if (replacement !== null) block.set(replacement, to + LENGTH);
    output.to = to + LENGTH + (replacement?.length ?? 0);
  }
}
