/**
 * How the rows of one format of COPY TO STDOUT stand in its bytes. A scanner keeps the places of the
 * row that it has read last; so rows in which nothing changes cost no objects.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { ProtocolError } from '../../../errors.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';

/** `frame`: what stands around the rows of the binary format. */
export type CopyPart = 'row' | 'header' | 'frame';

/** How far a scanner has come; only the binary format says where its data ends. */
export type CopyStage = 'first' | 'rows' | 'end';

export interface CopyScanner {
  /** All that a scanner knows of earlier data: another one can go on with it. */
  stage: CopyStage;
  /** Of what was scanned last. */
  readonly part: CopyPart;
  /** Where the fields of the last row begin and end, in the bytes that were scanned. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Fields of the last row. */
  readonly count: number;
  /** NULL is spelt otherwise for the client than by the server. */
  readonly respellsNull: boolean;
  /**
   * Reads one row.
   * @returns the offset behind it; -1: its end is not among these bytes.
   * @throws ProtocolError where the server would not have written it.
   */
  scan(bytes: Uint8Array, at: number): number;
  /**
   * Whether what stands between the offsets is one row, as `scan` would read it, and nothing else.
   * Then its fields are those of the last row; else whoever asks has `scan` read it.
   */
  isRow(bytes: Uint8Array, at: number, end: number): boolean;
  /** Where the value of a field of the last row lies: `escaped`: nowhere, `value` makes it. */
  place(bytes: Uint8Array, index: number, place: Stretch): 'null' | 'plain' | 'escaped';
  /** Bytes of a length in front of each value; 0: there is none. */
  readonly prefix: 0 | 4;
  /** Whether a value that consists of these bytes stands in the data as it is. */
  isPlain(bytes: Uint8Array, start: number, end: number, index: number): boolean;
  /** The value of a field of the last row, without quotes and escapes; null = NULL. */
  value(bytes: Uint8Array, index: number): Uint8Array | null;
  /** What stands between `starts` and `ends` for this value. */
  encode(value: Uint8Array | null, index: number): Uint8Array;
  /** Whether the data may end here. */
  readonly isComplete: boolean;
}

/** Places of the fields of one row. */
export class FieldPlaces {
  readonly starts: number[];
  readonly ends: number[];
  readonly #columns: number;
  count = 0;

  constructor(columns: number) {
    // An empty line is how a row without columns looks, and that is one empty field.
    this.#columns = Math.max(columns, 1);
    this.starts = new Array(this.#columns).fill(0);
    this.ends = new Array(this.#columns).fill(0);
  }

  begin(): void {
    this.count = 0;
  }

  /** @returns false: it is one too many. */
  add(start: number, end: number): boolean {
    if (this.count === this.#columns) return false;
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count += 1;
    return true;
  }

  get isComplete(): boolean {
    return this.count === this.#columns;
  }
}

/** What the reading of a row ends with, other than the offset behind it. */
export const INCOMPLETE = -1;
export const WRONG_COLUMNS = -2;
export const NOT_QUOTED = -3;

export function wrongColumns(): ProtocolError {
  return new ProtocolError('a row of the COPY does not have the columns that were checked');
}

/** Options of a COPY TO STDOUT of lines, as bytes. */
export interface CopyLines {
  readonly columns: number;
  readonly delimiter: number;
  /** How the server spells NULL, and how the client wants it; nearly always the same. */
  readonly serverNull: Uint8Array;
  readonly clientNull: Uint8Array;
  readonly hasHeader: boolean;
}

export function equals(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let index = 0; index < other.length; index += 1) {
    if (bytes[start + index] !== other[index]) return false;
  }
  return true;
}

export function has(bytes: Uint8Array, start: number, end: number, byte: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === byte) return true;
  }
  return false;
}

/** What the formats of lines have in common: a header, and how a row is told from what is none. */
export abstract class LineScanner<Lines extends CopyLines> {
  protected readonly lines: Lines;
  protected readonly fields: FieldPlaces;
  stage: CopyStage = 'first';
  part: CopyPart = 'row';
  readonly isComplete = true;
  readonly prefix = 0;

  constructor(lines: Lines) {
    this.lines = lines;
    this.fields = new FieldPlaces(lines.columns);
  }

  get starts(): readonly number[] {
    return this.fields.starts;
  }

  get ends(): readonly number[] {
    return this.fields.ends;
  }

  get count(): number {
    return this.fields.count;
  }

  scan(bytes: Uint8Array, at: number): number {
    const end = this.read(bytes, at, bytes.length);
    if (end === WRONG_COLUMNS) throw wrongColumns();
    if (end === NOT_QUOTED) throw new ProtocolError('a field of the COPY is not quoted as csv');
    if (end === INCOMPLETE) return -1;
    this.part = this.stage === 'first' && this.lines.hasHeader ? 'header' : 'row';
    this.stage = 'rows';
    return end;
  }

  isRow(bytes: Uint8Array, at: number, end: number): boolean {
    if (this.stage === 'first' && this.lines.hasHeader) return false;
    if (this.read(bytes, at, end) !== end) return false;
    this.part = 'row';
    return true;
  }

  /** @returns the offset behind the row, INCOMPLETE, WRONG_COLUMNS or NOT_QUOTED. */
  protected abstract read(bytes: Uint8Array, at: number, end: number): number;
}
