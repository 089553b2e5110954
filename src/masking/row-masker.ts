/**
 * Rewrites DataRow messages of one result: masks the columns that the verdict names, lets the
 * detectors look at the others, and gives back the row it was given when nothing changed. Built
 * once per result from RowDescription; one pass over each row.
 *
 *     DataRow: Byte1('D') Int32 length, Int16 columns, (Int32 length | -1, bytes)[columns]
 *
 * https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW
 */
import { ProtocolError } from '../errors.ts';
import type { DetectorName, MaskKind } from '../policy/types.ts';
import type { HitCounts } from './detect-text.ts';
import { isDetectable, type ValueDetector, valueWithoutHits } from './detect-value.ts';
import { maskValue } from './mask-value.ts';
import { RowSlab } from './row-slab.ts';
import { isBuiltInText } from './type-oids.ts';

export interface ResultColumn {
  readonly typeOid: number;
  readonly format: 0 | 1;
  /** undefined = not masked by a rule. */
  readonly mask: MaskKind | undefined;
  /** Computed, not stored in a column: numbers are then searched for card numbers too. */
  readonly derived: boolean;
}

export interface RowMaskerOptions {
  readonly columns: readonly ResultColumn[];
  readonly detectors: ReadonlySet<DetectorName>;
  readonly hashKey: Uint8Array;
  /** Whether a type that is not built in is a plain string: citext, enums. */
  readonly isText: (typeOid: number) => boolean;
  /** Text in client_encoding; undefined where the bytes are no text. */
  readonly decode: (bytes: Uint8Array) => string | undefined;
  /** Whether client_encoding is UTF-8 (or SQL_ASCII, where it usually is). */
  readonly isUtf8: boolean;
}

const HEADER = 5;
const COUNT = 2;

type ColumnWork = 'pass' | 'mask' | 'detect';

export class RowMasker {
  readonly #columns: readonly ResultColumn[];
  readonly #work: readonly ColumnWork[];
  readonly #options: RowMaskerOptions;
  readonly #detector: ValueDetector;
  /** Of the row in hand: undefined = unchanged. Reused, so that rows cost no arrays. */
  readonly #replacements: (Uint8Array | null | undefined)[];
  readonly #slab = new RowSlab();
  /** Values masked by a rule so far; NULLs are not counted, they stay NULL. */
  maskedValues = 0;
  readonly detected: HitCounts = new Map();

  constructor(options: RowMaskerOptions) {
    this.#options = options;
    this.#columns = options.columns;
    this.#work = options.columns.map((column) => workFor(column, options));
    this.#replacements = new Array(options.columns.length).fill(undefined);
    this.#detector = {
      detectors: options.detectors,
      counts: this.detected,
      isText: options.isText,
      isUtf8: options.isUtf8,
    };
  }

  /** No column needs work: rows may pass without being looked at. */
  get isIdle(): boolean {
    return this.#work.every((work) => work === 'pass');
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
        length < 0 ? undefined : this.#replace(message.subarray(offset, end), index);
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

  #replace(value: Uint8Array, index: number): Uint8Array | null | undefined {
    const work = this.#work[index];
    const column = this.#columns[index];
    if (work === 'pass' || column === undefined) return undefined;
    if (work === 'mask' && column.mask !== undefined) {
      this.maskedValues += 1;
      return maskValue(value, {
        mask: column.mask,
        isText: isBuiltInText(column.typeOid) || this.#options.isText(column.typeOid),
        key: this.#options.hashKey,
        decode: this.#options.decode,
      });
    }
    return valueWithoutHits(value, column.typeOid, column.format, this.#detector);
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

function workFor(column: ResultColumn, options: RowMaskerOptions): ColumnWork {
  if (column.mask !== undefined) return 'mask';
  if (options.detectors.size === 0) return 'pass';
  return isDetectable(column.typeOid, column.derived) ? 'detect' : 'pass';
}
