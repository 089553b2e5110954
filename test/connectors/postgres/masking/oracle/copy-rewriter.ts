/**
 * Rewrites the data of one COPY TO STDOUT: masks the columns that the verdict names, lets the
 * detectors look at the others, counts rows. The server sends a row in each CopyData, but nothing
 * says that it must: the data is read as one stream, and what is not yet a whole row is kept.
 *
 *     CopyData: Byte1('d') Int32 length, bytes
 */
import { ProtocolError } from '../../../../../src/errors.ts';
import type { ColumnMasker } from './column-masker.ts';
import type { CopyScanner } from './copy-format.ts';
import type { HitCounts } from './detect-text.ts';
import { RowSlab } from './row-slab.ts';

const HEADER = 5;
const COPY_DATA = 0x64;
const NOTHING: Uint8Array = new Uint8Array(0);

export interface CopyRewriterOptions {
  readonly scanner: CopyScanner;
  readonly masker: ColumnMasker;
  /** Rows that may go on; Infinity: all. */
  readonly maxRows: number;
  /** Longest row, in bytes, that is kept until its end comes. */
  readonly maxRowBytes: number;
  /** What is thrown for a longer one. */
  readonly tooLarge: (rowBytes: number) => Error;
}

export class CopyRewriter {
  readonly #options: CopyRewriterOptions;
  /** Fields that are looked at. */
  readonly #busy: readonly number[];
  readonly #slab = new RowSlab();
  /** The beginning of a row. */
  #rest = NOTHING;
  /** Of the message in hand: what it becomes, in order. Reused. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  rows = 0;
  /** A row more than may go on has come; nothing of it or behind it is given out. */
  isOverLimit = false;

  constructor(options: CopyRewriterOptions) {
    this.#options = options;
    const { scanner, masker } = options;
    this.#busy = scanner.respellsNull ? masker.columns.map((_, index) => index) : masker.busy;
  }

  get maskedValues(): number {
    return this.#options.masker.maskedValues;
  }

  get detected(): HitCounts {
    return this.#options.masker.detected;
  }

  /**
   * @param message a whole CopyData message, type byte included.
   * @returns `message` itself, a new one, or undefined: no row has ended in it.
   * @throws ProtocolError when the data is not what was checked.
   */
  rewrite(message: Uint8Array): Uint8Array | undefined {
    const data = message.subarray(HEADER);
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    this.#parts = [];
    this.#partBytes = 0;
    /** What is unchanged and not in `#parts` yet begins here. */
    let kept = 0;
    let at = 0;
    while (at < bytes.length) {
      const end = this.#options.scanner.scan(bytes, at);
      if (end === -1) break;
      if (this.#options.scanner.part === 'row') {
        this.isOverLimit = this.rows >= this.#options.maxRows;
        if (this.isOverLimit) break;
        this.rows += 1;
      }
      kept = this.#row(bytes, kept);
      at = end;
    }
    const isWhole = this.#parts.length === 0 && at === bytes.length && bytes === data;
    this.#keepRest(this.isOverLimit ? NOTHING : bytes.subarray(at));
    if (isWhole) return message;
    this.#push(bytes, kept, at);
    return this.#partBytes === 0 ? undefined : this.#assemble();
  }

  /** The target says that there is no more. @throws ProtocolError when a row is not complete. */
  end(): void {
    if (this.#rest.length > 0 || !this.#options.scanner.isComplete) {
      throw new ProtocolError('a COPY ended within a row');
    }
  }

  /** @returns where what is unchanged begins now. */
  #row(bytes: Uint8Array, from: number): number {
    const { scanner, masker } = this.#options;
    if (scanner.part === 'frame') return from;
    let kept = from;
    const isHeader = scanner.part === 'header';
    for (const index of isHeader ? masker.columns.keys() : this.#busy) {
      const value = scanner.value(bytes, index);
      let replacement: Uint8Array | null | undefined;
      if (value === null) replacement = scanner.respellsNull ? null : undefined;
      else if (isHeader) replacement = masker.replaceName(value);
      else replacement = masker.replace(value, index);
      if (replacement === undefined) continue;
      this.#push(bytes, kept, scanner.starts[index] ?? 0);
      const encoded = scanner.encode(replacement, index);
      this.#parts.push(encoded);
      this.#partBytes += encoded.length;
      kept = scanner.ends[index] ?? 0;
    }
    return kept;
  }

  #push(bytes: Uint8Array, start: number, end: number): void {
    if (start >= end) return;
    this.#parts.push(bytes.subarray(start, end));
    this.#partBytes += end - start;
  }

  /** The memory belongs to whoever read it: what is kept is a copy. */
  #keepRest(rest: Uint8Array): void {
    const { maxRowBytes, tooLarge } = this.#options;
    if (rest.length > maxRowBytes) throw tooLarge(rest.length);
    this.#rest = rest.length === 0 ? NOTHING : rest.slice();
  }

  #assemble(): Uint8Array {
    const out = this.#slab.take(HEADER + this.#partBytes);
    out[0] = COPY_DATA;
    new DataView(out.buffer, out.byteOffset).setInt32(1, out.length - 1);
    let to = HEADER;
    for (const part of this.#parts) {
      out.set(part, to);
      to += part.length;
    }
    this.#parts = [];
    return out;
  }
}
