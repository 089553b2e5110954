/**
 * The csv format of COPY. The server quotes whole fields, and quotes a value that looks like NULL,
 * so that both can be told apart whatever the options are. A quoted value can hold newlines.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-CSV
 */
import { ProtocolError } from '../../../../../src/errors.ts';
import {
  type CopyLines,
  type CopyPart,
  type CopyScanner,
  equals,
  FieldPlaces,
} from './copy-format.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** An old mark for the end of the data, which servers quote in a file of one column. */
const END_MARK = Uint8Array.of(0x5c, 0x2e);

export interface CsvLines extends CopyLines {
  readonly quote: number;
  readonly escapeByte: number;
  /** By column: FORCE_QUOTE. */
  readonly forceQuote: readonly boolean[];
}

export class CsvScanner implements CopyScanner {
  readonly #lines: CsvLines;
  readonly #fields: FieldPlaces;
  /** Before the first line. */
  #isFirst = true;
  part: CopyPart = 'row';
  readonly isComplete = true;
  readonly respellsNull = false;

  constructor(lines: CsvLines) {
    this.#lines = lines;
    this.#fields = new FieldPlaces(lines.columns);
  }

  get starts(): readonly number[] {
    return this.#fields.starts;
  }

  get ends(): readonly number[] {
    return this.#fields.ends;
  }

  get count(): number {
    return this.#fields.count;
  }

  scan(bytes: Uint8Array, at: number): number {
    const fields = this.#fields;
    const { delimiter, quote } = this.#lines;
    fields.begin();
    let start = at;
    for (let index = at; index < bytes.length; index += 1) {
      if (index === start && bytes[index] === quote) {
        index = this.#endOfQuoted(bytes, index);
        if (index >= bytes.length) return -1;
      }
      const byte = bytes[index];
      if (byte === delimiter) {
        fields.add(start, index);
        start = index + 1;
      } else if (byte === NEWLINE) {
        fields.add(start, index);
        fields.end();
        this.part = this.#isFirst && this.#lines.hasHeader ? 'header' : 'row';
        this.#isFirst = false;
        return index + 1;
      } else if (byte === quote || (start < index && bytes[start] === quote)) {
        throw new ProtocolError('a field of the COPY is not quoted as csv');
      }
    }
    return -1;
  }

  /** @returns the offset behind the closing quote; the end of the bytes: it may still come. */
  #endOfQuoted(bytes: Uint8Array, start: number): number {
    const { quote, escapeByte } = this.#lines;
    for (let index = start + 1; index < bytes.length; index += 1) {
      const byte = bytes[index];
      if (byte === escapeByte && (bytes[index + 1] === quote || bytes[index + 1] === escapeByte)) {
        index += 1;
      } else if (byte === quote) {
        return index + 1;
      }
    }
    return bytes.length;
  }

  value(bytes: Uint8Array, index: number): Uint8Array | null {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    const { quote, escapeByte, serverNull } = this.#lines;
    if (start === end || bytes[start] !== quote) {
      const isNull = this.part === 'row' && equals(bytes, start, end, serverNull);
      return isNull ? null : bytes.subarray(start, end);
    }
    const field = bytes.subarray(start + 1, end - 1);
    return field.includes(escapeByte) ? unescaped(field, quote, escapeByte) : field;
  }

  encode(value: Uint8Array | null, index: number): Uint8Array {
    const { quote, escapeByte, clientNull } = this.#lines;
    if (value === null) return clientNull;
    if (!this.#mustQuote(value, index)) return value;
    const out = new Uint8Array(value.length * 2 + 2);
    let length = 0;
    out[length++] = quote;
    for (const byte of value) {
      if (byte === quote || byte === escapeByte) out[length++] = escapeByte;
      out[length++] = byte;
    }
    out[length++] = quote;
    return out.subarray(0, length);
  }

  #mustQuote(value: Uint8Array, index: number): boolean {
    const { delimiter, quote, clientNull, forceQuote } = this.#lines;
    return (
      (this.part === 'row' && forceQuote[index] === true) ||
      equals(value, 0, value.length, clientNull) ||
      equals(value, 0, value.length, END_MARK) ||
      value.some(
        (byte) => byte === delimiter || byte === quote || byte === NEWLINE || byte === RETURN,
      )
    );
  }
}

function unescaped(field: Uint8Array, quote: number, escapeByte: number): Uint8Array {
  const out = new Uint8Array(field.length);
  let length = 0;
  for (let index = 0; index < field.length; index += 1) {
    const next = field[index + 1];
    if (field[index] === escapeByte && (next === quote || next === escapeByte)) index += 1;
    out[length++] = field[index] ?? 0;
  }
  return out.subarray(0, length);
}
