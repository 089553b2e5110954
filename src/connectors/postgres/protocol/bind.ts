import type { FormatCode } from './format-code.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('B') · Int32 length · String portal · String statement · Int16 n · Int16 × n parameter
 * formats · Int16 n · (Int32 length, -1 = NULL · bytes) × n · Int16 n · Int16 × n result formats
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BIND
 */
export interface Bind {
  readonly type: 'Bind';
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly FormatCode[];
  /** Views into the body. */
  readonly parameters: readonly (Uint8Array | null)[];
  readonly resultFormats: readonly FormatCode[];
}

export function decodeBind(body: Uint8Array, text: TextCodec = UTF8): Bind {
  const reader = new MessageReader('Bind', body);
  const portal = reader.cstring(text);
  const statement = reader.cstring(text);
  const parameterFormats = readFormats(reader);
  const count = reader.u16();
  reader.expect(count, 4);
  const parameters = Array.from({ length: count }, () => reader.value());
  const resultFormats = readFormats(reader);
  reader.end();
  return { type: 'Bind', portal, statement, parameterFormats, parameters, resultFormats };
}

/** Portal and statement; what stands behind them is not looked at. */
export function decodeBindNames(
  body: Uint8Array,
  text: TextCodec = UTF8,
): Pick<Bind, 'portal' | 'statement'> {
  const reader = new MessageReader('Bind', body);
  return { portal: reader.cstring(text), statement: reader.cstring(text) };
}

/** The formats at its end; checks the whole layout, and makes nothing of the values. */
export function readResultFormats(body: Uint8Array): readonly FormatCode[] {
  const reader = new MessageReader('Bind', body);
  reader.skipString();
  reader.skipString();
  const formats = reader.u16();
  reader.expect(formats, 2);
  for (let index = 0; index < formats; index += 1) reader.i16();
  const count = reader.u16();
  reader.expect(count, 4);
  for (let index = 0; index < count; index += 1) reader.skipValue();
  const resultFormats = readFormats(reader);
  reader.end();
  return resultFormats;
}

export function encodeBind(message: Omit<Bind, 'type'>, text: TextCodec = UTF8): Uint8Array {
  const writer = new MessageWriter(FRONTEND.Bind)
    .cstring(message.portal, text)
    .cstring(message.statement, text);
  writeFormats(writer, message.parameterFormats);
  writer.u16(message.parameters.length);
  for (const value of message.parameters) {
    writer.value(value);
  }
  writeFormats(writer, message.resultFormats);
  return writer.finish();
}

function readFormats(reader: MessageReader): FormatCode[] {
  const count = reader.u16();
  reader.expect(count, 2);
  const formats: FormatCode[] = [];
  for (let nth = 0; nth < count; nth += 1) formats.push(reader.i16());
  return formats;
}

function writeFormats(writer: MessageWriter, formats: readonly FormatCode[]): void {
  writer.u16(formats.length);
  for (const format of formats) {
    writer.i16(format);
  }
}
