/**
 * How the rows of one format of COPY TO STDOUT stand in its bytes. A scanner keeps the places of the
 * row that it has read last; so rows in which nothing changes cost no objects.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import { ProtocolError } from '../../../../../src/errors.ts';

/** `frame`: what stands around the rows of the binary format. */
export type CopyPart = 'row' | 'header' | 'frame';

export interface CopyScanner {
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

  /** @throws ProtocolError */
  add(start: number, end: number): void {
    if (this.count === this.#columns) throw wrongColumns();
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count += 1;
  }

  /** @throws ProtocolError */
  end(): void {
    if (this.count !== this.#columns) throw wrongColumns();
  }
}

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
