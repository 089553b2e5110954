/**
 * Fields of frame bodies. All numbers are big endian; a number has 4 bytes, a flag one (0 or 1), a
 * string its length and then its bytes. Text is UTF-8 without NUL: a server would take what is
 * before a NUL, and the policy what is behind it.
 */
import { ProtocolError } from '../../../errors.ts';
import { type Field, type OneOf, variants } from '../../../protocol/layout.ts';
import type { BodyReader } from './body-reader.ts';
import type { BodyWriter } from './body-writer.ts';

/** Bytes that something may have. */
export type Lengths = readonly [least: number, most: number];

export interface FrameField<Value> extends Field<BodyReader, BodyWriter, Value> {
  readonly lengths: Lengths;
}

export type FrameFields = Readonly<Record<string, FrameField<unknown>>>;

export function lengthsOf(fields: FrameFields): Lengths {
  const lengths = Object.values(fields).map((field) => field.lengths);
  return [
    lengths.reduce((sum, [least]) => sum + least, 0),
    lengths.reduce((sum, [, most]) => sum + most, 0),
  ];
}

const NUMBER_BYTES = 4;

export function upTo(most: number): FrameField<number> {
  return {
    lengths: [NUMBER_BYTES, NUMBER_BYTES],
    read: (body) => body.number(most),
    write: (body, value) => body.number(value, most),
  };
}

export const NUMBER = upTo(0xffffffff);

/** Credit that is given: a window frame of none says nothing. */
export const CREDIT: FrameField<number> = {
  ...NUMBER,
  read(body) {
    const bytes = body.number();
    if (bytes === 0) throw new ProtocolError('a window frame gives no credit');
    return bytes;
  },
};

export const FLAG: FrameField<boolean> = {
  lengths: [1, 1],
  read: (body) => body.flag(),
  write: (body, value) => body.flag(value),
};

/** @param most bytes, as for `text` and `command`. */
export function bytes(most: number): FrameField<Uint8Array> {
  return {
    lengths: [NUMBER_BYTES, NUMBER_BYTES + most],
    read: (body) => body.bytes(most),
    write: (body, value) => body.bytes(value, most),
  };
}

export function text(most: number): FrameField<string> {
  return {
    lengths: [NUMBER_BYTES, NUMBER_BYTES + most],
    read: (body) => body.text(most),
    write: (body, value) => body.text(value, most),
  };
}

/** Bytes, because a command need not be UTF-8. */
export function command(most: number): FrameField<Uint8Array> {
  return {
    ...bytes(most),
    read(body) {
      const value = body.bytes(most);
      if (value.includes(0)) throw new ProtocolError('a command has a NUL');
      return value;
    },
    write(body, value) {
      if (value.includes(0)) throw new RangeError('a command has a NUL');
      body.bytes(value, most);
    },
  };
}

/** Said by the direction, and by no byte. */
export function always<const Value>(value: Value): FrameField<Value> {
  return { lengths: [0, 0], read: () => value, write: () => undefined };
}

/** One byte for each of these words. @param what for errors: "nothing … has number 7" */
export function word<const Word extends string>(
  codes: Readonly<Record<Word, number>>,
  what: string,
): FrameField<Word> {
  return {
    lengths: [1, 1],
    read(body) {
      const code = body.byte();
      for (const name in codes) if (codes[name] === code) return name;
      throw new ProtocolError(`${what} has number ${code}`);
    },
    write: (body, name) => body.byte(codes[name]),
  };
}

/** One byte that says which, and its fields. @param what for errors: "no channel has type 7" */
export function kindOf<
  const Table extends Readonly<
    Record<string, { readonly code: number; readonly fields: FrameFields }>
  >,
>(table: Table, what: string) {
  const codec = variants('kind', table);
  const lengths = Object.values(table).map(({ fields }) => lengthsOf(fields));
  return {
    lengths: [
      1 + Math.min(...lengths.map(([least]) => least)),
      1 + Math.max(...lengths.map(([, most]) => most)),
    ] as const,
    read(body: BodyReader): OneOf<'kind', Table> {
      const code = body.byte();
      const value = codec.read(code, body);
      if (value === undefined) throw new ProtocolError(`no ${what} has type ${code}`);
      return value;
    },
    write(body: BodyWriter, value: OneOf<'kind', Table>): void {
      codec.write(body.byte(codec.code(value)), value);
    },
    /** Without the byte, as SSH itself has them. */
    writeFields: (body: BodyWriter, value: OneOf<'kind', Table>): void => codec.write(body, value),
  };
}
