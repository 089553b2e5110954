import type { FormatCode } from './format-code.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('T') · Int32 length · Int16 n · (String name · Int32 table OID · Int16 column · Int32 type
 * OID · Int16 type size · Int32 type modifier · Int16 format) × n
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION
 */
export interface RowDescription {
  readonly type: 'RowDescription';
  readonly fields: readonly FieldDescription[];
}

export interface FieldDescription {
  readonly name: string;
  /** 0: computed, no column of a table. */
  readonly tableOid: number;
  /** pg_attribute.attnum; 0: no column of a table. */
  readonly columnNumber: number;
  readonly typeOid: number;
  /** pg_type.typlen; negative: variable. */
  readonly typeSize: number;
  readonly typeModifier: number;
  /** 0 in the answer to Describe of a statement, where it is not known yet. */
  readonly format: FormatCode;
}

/** NUL of the name, and the numbers. */
const MINIMUM_FIELD_LENGTH = 19;

export function decodeRowDescription(body: Uint8Array, text: TextCodec = UTF8): RowDescription {
  const reader = new MessageReader('RowDescription', body);
  const count = reader.u16();
  reader.expect(count, MINIMUM_FIELD_LENGTH);
  const fields = Array.from({ length: count }, () => readField(reader, text));
  reader.end();
  return { type: 'RowDescription', fields };
}

export function encodeRowDescription(
  message: Omit<RowDescription, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  const writer = new MessageWriter(BACKEND.RowDescription).u16(message.fields.length);
  for (const field of message.fields) {
    writer
      .cstring(field.name, text)
      .u32(field.tableOid)
      .i16(field.columnNumber)
      .u32(field.typeOid)
      .i16(field.typeSize)
      .i32(field.typeModifier)
      .i16(field.format);
  }
  return writer.finish();
}

function readField(reader: MessageReader, text: TextCodec): FieldDescription {
  return {
    name: reader.cstring(text),
    tableOid: reader.u32(),
    columnNumber: reader.i16(),
    typeOid: reader.u32(),
    typeSize: reader.i16(),
    typeModifier: reader.i32(),
    format: reader.i16(),
  };
}
