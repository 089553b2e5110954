/**
 * The text format of COPY: a line for each row; in values the delimiter, a backslash and some
 * control characters stand behind a backslash, so that a newline always ends a row.
 * https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-FILE-FORMATS-TEXT
 */
import {
  type CopyLines,
  type CopyPart,
  type CopyScanner,
  equals,
  FieldPlaces,
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

export class TextScanner implements CopyScanner {
  readonly #lines: CopyLines;
  readonly #fields: FieldPlaces;
  /** Before the first line. */
  #isFirst = true;
  part: CopyPart = 'row';
  readonly isComplete = true;

  constructor(lines: CopyLines) {
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

  get respellsNull(): boolean {
    const { serverNull, clientNull } = this.#lines;
    return !equals(serverNull, 0, serverNull.length, clientNull);
  }

  scan(bytes: Uint8Array, at: number): number {
    const fields = this.#fields;
    const { delimiter } = this.#lines;
    fields.begin();
    let start = at;
    for (let index = at; index < bytes.length; index += 1) {
      const byte = bytes[index];
      if (byte === delimiter) {
        fields.add(start, index);
        start = index + 1;
      } else if (byte === BACKSLASH) {
        index += 1;
      } else if (byte === NEWLINE) {
        fields.add(start, index);
        fields.end();
        this.part = this.#isFirst && this.#lines.hasHeader ? 'header' : 'row';
        this.#isFirst = false;
        return index + 1;
      }
    }
    return -1;
  }

  value(bytes: Uint8Array, index: number): Uint8Array | null {
    const start = this.starts[index] ?? 0;
    const end = this.ends[index] ?? 0;
    // A header never says NULL: a name that looks like it is a name.
    if (this.part === 'row' && equals(bytes, start, end, this.#lines.serverNull)) return null;
    const field = bytes.subarray(start, end);
    return field.includes(BACKSLASH) ? unescaped(field) : field;
  }

  encode(value: Uint8Array | null): Uint8Array {
    if (value === null) return this.#lines.clientNull;
    const { delimiter } = this.#lines;
    if (!value.some((byte) => mustEscape(byte, delimiter))) return value;
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
