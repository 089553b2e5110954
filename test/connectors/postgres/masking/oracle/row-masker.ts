/**
 * Rewrites DataRow messages of one result: masks the columns that the verdict names, lets the
 * detectors look at the others, and gives back the row it was given when nothing changed. Built
 * once per result from RowDescription; one pass over each row.
 *
 *     DataRow: Byte1('D') Int32 length, Int16 columns, (Int32 length | -1, bytes)[columns]
 *
 * https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW
 */
import { ProtocolError } from '../../../../../src/errors.ts';
import { ColumnMasker, type ColumnMaskerOptions, type ResultColumn } from './column-masker.ts';
import type { HitCounts } from './detect-text.ts';
import { RowSlab } from './row-slab.ts';

const HEADER = 5;
const COUNT = 2;

export class RowMasker {
  readonly #columns: readonly ResultColumn[];
  readonly #masker: ColumnMasker;
  /** Of the row in hand: undefined = unchanged. Reused, so that rows cost no arrays. */
  readonly #replacements: (Uint8Array | null | undefined)[];
  readonly #slab = new RowSlab();

  constructor(options: ColumnMaskerOptions) {
    this.#masker = new ColumnMasker(options);
    this.#columns = options.columns;
    this.#replacements = new Array(options.columns.length).fill(undefined);
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

  /**
   * @param message a whole DataRow message, type byte included.
   * @returns `message` itself, or the new message (memory of the masker's slab, not reused).
   * @throws ProtocolError when the row does not have the shape of the description.
   */
  rewrite(message: Uint8Array): Uint8Array {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    if (message.length < HEADER + COUNT || view.getInt16(HEADER) !== this.#columns.length) {
      throw new ProtocolError('DataRow does not match its RowDescription');
    }
    let offset = HEADER + COUNT;
    let growth = 0;
    let changed = false;
    for (let index = 0; index < this.#columns.length; index += 1) {
      if (offset + 4 > message.length) throw new ProtocolError('DataRow is cut short');
      const length = view.getInt32(offset);
      offset += 4;
      const end = offset + Math.max(length, 0);
      if (length < -1 || end > message.length) throw new ProtocolError('DataRow is cut short');
      const replacement =
        length < 0 ? undefined : this.#masker.replace(message.subarray(offset, end), index);
      this.#replacements[index] = replacement;
      if (replacement !== undefined) {
        changed = true;
        growth += (replacement === null ? 0 : replacement.length) - length;
      }
      offset = end;
    }
    if (offset !== message.length)
      throw new ProtocolError('DataRow has bytes after its last column');
    return changed ? this.#assemble(message, view, growth) : message;
  }

  #assemble(message: Uint8Array, view: DataView, growth: number): Uint8Array {
    const out = this.#slab.take(message.length + growth);
    const outView = new DataView(out.buffer, out.byteOffset, out.byteLength);
    out[0] = message[0] ?? 0;
    outView.setInt32(1, out.length - 1);
    outView.setInt16(HEADER, this.#columns.length);
    let from = HEADER + COUNT;
    let to = HEADER + COUNT;
    for (let index = 0; index < this.#columns.length; index += 1) {
      const length = view.getInt32(from);
      const end = from + 4 + Math.max(length, 0);
      const replacement = this.#replacements[index];
      if (replacement === undefined) {
        out.set(message.subarray(from, end), to);
        to += end - from;
      } else {
        outView.setInt32(to, replacement === null ? -1 : replacement.length);
        to += 4;
        if (replacement !== null) {
          out.set(replacement, to);
          to += replacement.length;
        }
      }
      from = end;
    }
    return out;
  }
}
