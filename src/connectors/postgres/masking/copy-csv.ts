/**
 * The csv format of COPY. The server quotes whole fields, and quotes a value that looks like NULL,
 * so that both can be told apart whatever the options are. A quoted value can hold newlines.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-CSV
 */
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import {
  type CopyLines,
  type CopyScanner,
  equals,
  has,
  INCOMPLETE,
  LineScanner,
  NOT_QUOTED,
  WRONG_COLUMNS,
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

export class CsvScanner extends LineScanner<CsvLines> implements CopyScanner {
  readonly respellsNull = false;

  protected read(bytes: Uint8Array, at: number, end: number): number {
    const fields = this.fields;
    const { delimiter, quote } = this.lines;
    fields.begin();
    let start = at;
    for (let index = at; index < end; index += 1) {
      if (index === start && bytes[index] === quote) {
        index = this.#endOfQuoted(bytes, index, end);
        if (index >= end) return INCOMPLETE;
      }
      const byte = bytes[index];
      if (byte === delimiter) {
        if (!fields.add(start, index)) return WRONG_COLUMNS;
        start = index + 1;
      } else if (byte === NEWLINE) {
        return fields.add(start, index) && fields.isComplete ? index + 1 : WRONG_COLUMNS;
      } else if (byte === quote || (start < index && bytes[start] === quote)) {
        return NOT_QUOTED;
      }
    }
    return INCOMPLETE;
  }

  /** @returns the offset behind the closing quote; `end`: it may still come. */
  #endOfQuoted(bytes: Uint8Array, start: number, end: number): number {
    const { quote, escapeByte } = this.lines;
    for (let index = start + 1; index < end; index += 1) {
      const byte = bytes[index];
      const next = index + 1 < end ? bytes[index + 1] : undefined;
      if (byte === escapeByte && (next === quote || next === escapeByte)) {
        index += 1;
      } else if (byte === quote) {
        return index + 1;
      }
    }
    return end;
  }

  place(bytes: Uint8Array, index: number, place: Stretch): 'null' | 'plain' | 'escaped' {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    const { quote, escapeByte, serverNull } = this.lines;
    const isQuoted = start < end && bytes[start] === quote;
    if (!isQuoted && equals(bytes, start, end, serverNull)) return 'null';
    place.bytes = bytes;
    place.start = isQuoted ? start + 1 : start;
    place.end = isQuoted ? end - 1 : end;
    return isQuoted && has(bytes, start + 1, end - 1, escapeByte) ? 'escaped' : 'plain';
  }

  value(bytes: Uint8Array, index: number): Uint8Array | null {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    const { quote, escapeByte, serverNull } = this.lines;
    if (start === end || bytes[start] !== quote) {
      const isNull = this.part === 'row' && equals(bytes, start, end, serverNull);
      return isNull ? null : bytes.subarray(start, end);
    }
    const field = bytes.subarray(start + 1, end - 1);
    return field.includes(escapeByte) ? unescaped(field, quote, escapeByte) : field;
  }

  encode(value: Uint8Array | null, index: number): Uint8Array {
    const { quote, escapeByte, clientNull } = this.lines;
    if (value === null) return clientNull;
    if (this.isPlain(value, 0, value.length, index)) return value;
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

  /** Whether no quotes are needed. */
  isPlain(bytes: Uint8Array, start: number, end: number, index: number): boolean {
    const { delimiter, quote, clientNull, forceQuote } = this.lines;
    if (this.part === 'row' && forceQuote[index] === true) return false;
    if (equals(bytes, start, end, clientNull) || equals(bytes, start, end, END_MARK)) return false;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at];
      if (byte === delimiter || byte === quote || byte === NEWLINE || byte === RETURN) return false;
    }
    return true;
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
