/**
 * The text format of COPY: a line for each row; in values the delimiter, a backslash and some
 * control characters stand behind a backslash, so that a newline always ends a row.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-TEXT
 */
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import {
  type CopyLines,
  type CopyScanner,
  equals,
  has,
  INCOMPLETE,
  LineScanner,
  WRONG_COLUMNS,
} from './copy-format.ts';

const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

/** CopyAttributeOutText in src/backend/commands/copyto.c. */
const LETTER_OF = new Map([
  [0x08, 0x62],
  [0x0c, 0x66],
  [0x0a, 0x6e],
  [0x0d, 0x72],
  [0x09, 0x74],
  [0x0b, 0x76],
]);
const CONTROL_OF = new Map([...LETTER_OF].map(([control, letter]) => [letter, control]));

export class TextScanner extends LineScanner<CopyLines> implements CopyScanner {
  get respellsNull(): boolean {
    const { serverNull, clientNull } = this.lines;
    return !equals(serverNull, 0, serverNull.length, clientNull);
  }

  protected read(bytes: Uint8Array, at: number, end: number): number {
    const fields = this.fields;
    const { delimiter } = this.lines;
    fields.begin();
    let start = at;
    for (let index = at; index < end; index += 1) {
      const byte = bytes[index];
      if (byte === delimiter) {
        if (!fields.add(start, index)) return WRONG_COLUMNS;
        start = index + 1;
      } else if (byte === BACKSLASH) {
        index += 1;
      } else if (byte === NEWLINE) {
        return fields.add(start, index) && fields.isComplete ? index + 1 : WRONG_COLUMNS;
      }
    }
    return INCOMPLETE;
  }

  place(bytes: Uint8Array, index: number, place: Stretch): 'null' | 'plain' | 'escaped' {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    if (equals(bytes, start, end, this.lines.serverNull)) return 'null';
    place.bytes = bytes;
    place.start = start;
    place.end = end;
    return has(bytes, start, end, BACKSLASH) ? 'escaped' : 'plain';
  }

  isPlain(bytes: Uint8Array, start: number, end: number): boolean {
    const { delimiter } = this.lines;
    for (let at = start; at < end; at += 1) {
      if (mustEscape(bytes[at] ?? 0, delimiter)) return false;
    }
    return true;
  }

  value(bytes: Uint8Array, index: number): Uint8Array | null {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    // A header never says NULL: a name that looks like it is a name.
    if (this.part === 'row' && equals(bytes, start, end, this.lines.serverNull)) return null;
    const field = bytes.subarray(start, end);
    return field.includes(BACKSLASH) ? unescaped(field) : field;
  }

  encode(value: Uint8Array | null): Uint8Array {
    if (value === null) return this.lines.clientNull;
    const { delimiter } = this.lines;
    if (this.isPlain(value, 0, value.length)) return value;
    const out = new Uint8Array(value.length * 2);
    let length = 0;
    for (const byte of value) {
      if (mustEscape(byte, delimiter)) out[length++] = BACKSLASH;
      out[length++] = LETTER_OF.get(byte) ?? byte;
    }
    return out.subarray(0, length);
  }
}

function mustEscape(byte: number, delimiter: number): boolean {
  return byte === BACKSLASH || byte === delimiter || LETTER_OF.has(byte);
}

function unescaped(field: Uint8Array): Uint8Array {
  const out = new Uint8Array(field.length);
  let length = 0;
  for (let index = 0; index < field.length; index += 1) {
    let byte = field[index] ?? 0;
    if (byte === BACKSLASH && index + 1 < field.length) {
      index += 1;
      const escaped = field[index] ?? 0;
      byte = CONTROL_OF.get(escaped) ?? escaped;
    }
    out[length++] = byte;
  }
  return out.subarray(0, length);
}

/**
 * Whether the server may write some value as it writes NULL here. Then a mask could not tell the
 * two apart, and `NULL 'guess'` would say which values are the guess.
 */
export function isAmbiguousNull(spelling: Uint8Array, delimiter: number): boolean {
  for (let index = 0; index < spelling.length; index += 1) {
    if (spelling[index] !== BACKSLASH) continue;
    index += 1;
    const next = spelling[index];
    const isWritten =
      next !== undefined && (next === BACKSLASH || next === delimiter || CONTROL_OF.has(next));
    if (!isWritten) return false;
  }
  return true;
}
