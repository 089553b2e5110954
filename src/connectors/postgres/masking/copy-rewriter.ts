/**
 * Rewrites the data of one COPY TO STDOUT: masks the columns that the verdict names, lets the
 * detectors look at the others, counts rows. The server sends a row in each CopyData, but nothing
 * says that it must: the data is read as one stream, and what is not yet a whole row is kept. Messages
 * that are one row each are rewritten within the chunk that came, as rows of a result are.
 *
 *     CopyData: Byte1('d') Int32 length, bytes
 */
import { ProtocolError } from '../../../errors.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import type { HitCounts } from '../../../masking/detect-text.ts';
import { LONGEST_MASK } from '../../../masking/mask-bytes.ts';
import { FULL_MASK } from '../../../masking/mask-value.ts';
import { readInt32, writeInt32 } from './big-endian.ts';
import { ChunkOutput } from './chunk-output.ts';
import { type ColumnMasker, type MaskCounts, UNDECIDED } from './column-masker.ts';
import type { CopyScanner, CopyStage } from './copy-format.ts';
import type { RewrittenRows } from './row-masker.ts';

const HEADER = 5;
const COPY_DATA = 0x64;
const NOTHING: Uint8Array = new Uint8Array(0);
/** With each byte escaped, in quotes or behind a length. */
const LONGEST_ENCODED = 2 * LONGEST_MASK + 4;
/** A mask that is written in place. */
const IN_PLACE = 'in place';

/** How far a rewriter has come, so that another one can go on. */
export interface CopyProgress {
  readonly stage: CopyStage;
  /** The beginning of a row. */
  readonly rest: Uint8Array;
  readonly rows: number;
  readonly isOverLimit: boolean;
}

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
  readonly #output = new ChunkOutput();
  /** Of the row in hand, by place in `#busy`: undefined = unchanged. */
  readonly #written: (Uint8Array | typeof IN_PLACE | undefined)[];
  readonly #place: Stretch = { bytes: NOTHING, start: 0, end: 0 };
  /** As they stand in the data, by place in `#busy`. */
  readonly #full: readonly Uint8Array[];
  readonly #null: readonly Uint8Array[];
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
    this.#written = new Array(this.#busy.length).fill(undefined);
    this.#full = this.#busy.map((index) => scanner.encode(Buffer.from(FULL_MASK), index));
    this.#null = this.#busy.map((index) => scanner.encode(null, index));
  }

  get maskedValues(): number {
    return this.#options.masker.maskedValues;
  }

  get detected(): HitCounts {
    return this.#options.masker.detected;
  }

  /** Bytes of a row that has begun. */
  get restLength(): number {
    return this.#rest.length;
  }

  get progress(): CopyProgress {
    const { rows, isOverLimit } = this;
    return { stage: this.#options.scanner.stage, rest: this.#rest, rows, isOverLimit };
  }

  /**
   * Goes on where another rewriter has stopped.
   * @param counts of the other one, to be added to this one's; absent: the other one keeps them.
   */
  goOn(progress: CopyProgress, counts?: MaskCounts): void {
    this.#options.scanner.stage = progress.stage;
    this.#keepRest(progress.rest);
    this.rows = progress.rows;
    this.isOverLimit = progress.isOverLimit;
    if (counts !== undefined) this.#options.masker.add(counts);
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

  /**
   * Rewrites CopyData messages that follow each other and are one row each, up to the first that is
   * not (`rewrite` deals with it), or one row more than may go on.
   */
  rewriteRows(chunk: Uint8Array, from: number): RewrittenRows {
    const { scanner, maxRows } = this.#options;
    const output = this.#output;
    output.begin(chunk, from);
    const rowsBefore = this.rows;
    let at = from;
    const isPossible = this.#rest.length === 0 && !scanner.respellsNull;
    while (isPossible && this.rows < maxRows && isCopyData(chunk, at)) {
      const end = at + 1 + readInt32(chunk, at + 1);
      if (end > chunk.length || !scanner.isRow(chunk, at + HEADER, end)) break;
      this.#rowInPlace(chunk, at, end);
      this.rows += 1;
      at = end;
    }
    return { end: at, rows: this.rows - rowsBefore, pieces: output.finish(at) };
  }

  /** @param at of the message @param end behind it */
  #rowInPlace(chunk: Uint8Array, at: number, end: number): void {
    const { scanner } = this.#options;
    const output = this.#output;
    let growth = 0;
    for (let busy = 0; busy < this.#busy.length; busy += 1) {
      const written = this.#decide(chunk, busy);
      this.#written[busy] = written;
      growth += written === IN_PLACE ? LONGEST_ENCODED : (written?.length ?? 0);
    }
    let rowTo = -1;
    for (let busy = 0; busy < this.#busy.length; busy += 1) {
      const written = this.#written[busy];
      if (written === undefined) continue;
      if (rowTo === -1) rowTo = output.room(at, growth);
      const index = this.#busy[busy] ?? 0;
      output.replace(scanner.starts[index] ?? 0, scanner.ends[index] ?? 0);
      if (written === IN_PLACE) this.#writeMask(chunk, index);
      else output.write(written);
    }
    if (rowTo !== -1 && output.block !== undefined) {
      writeInt32(output.block, rowTo + 1, output.endOf(end) - rowTo - 1);
    }
  }

  /** What stands in place of a field of the row in hand. */
  #decide(chunk: Uint8Array, busy: number): Uint8Array | typeof IN_PLACE | undefined {
    const { scanner, masker } = this.#options;
    const index = this.#busy[busy] ?? 0;
    const place = this.#place;
    const kind = scanner.place(chunk, index, place);
    if (kind === 'null') return undefined;
    const how = masker.inPlace[index] ?? 'value';
    if (how === 'full' || how === 'null') {
      masker.maskedValues += 1;
      return how === 'full' ? this.#full[busy] : this.#null[busy];
    }
    if (kind === 'plain') {
      if (how === 'partial' || how === 'hash') return IN_PLACE;
      if (how === 'search' && !masker.mayReplace(chunk, place.start, place.end, index)) {
        return undefined;
      }
    }
    return this.#encoded(chunk, index);
  }

  #encoded(chunk: Uint8Array, index: number): Uint8Array | undefined {
    const { scanner, masker } = this.#options;
    const value = scanner.value(chunk, index);
    const replacement = value === null ? undefined : masker.replace(value, index);
    return replacement === undefined ? undefined : scanner.encode(replacement, index);
  }

  #writeMask(chunk: Uint8Array, index: number): void {
    const { scanner, masker } = this.#options;
    const output = this.#output;
    const { block } = output;
    if (block === undefined) throw new TypeError('there is no room for a mask');
    scanner.place(chunk, index, this.#place);
    const start = output.to + scanner.prefix;
    const how = masker.inPlace[index] === 'hash' ? 'hash' : 'partial';
    const length = masker.writeMask(this.#place, how, block, start);
    if (length === UNDECIDED) {
      output.write(this.#encoded(chunk, index) ?? NOTHING);
    } else if (scanner.isPlain(block, start, start + length, index)) {
      if (scanner.prefix > 0) writeInt32(block, output.to, length);
      output.to = start + length;
    } else {
      output.write(scanner.encode(block.subarray(start, start + length).slice(), index));
    }
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
    const out = new Uint8Array(HEADER + this.#partBytes);
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

function isCopyData(chunk: Uint8Array, at: number): boolean {
  return chunk.length - at >= HEADER && chunk[at] === COPY_DATA;
}
