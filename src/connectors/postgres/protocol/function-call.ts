import type { FormatCode } from './format-code.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('F') · Int32 length · Int32 function OID · Int16 n · Int16 × n argument formats · Int16 n ·
 * (Int32 length, -1 = NULL · bytes) × n · Int16 result format
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-FUNCTIONCALL
 */
export interface FunctionCall {
  readonly type: 'FunctionCall';
  readonly functionOid: number;
  readonly argumentFormats: readonly FormatCode[];
  /** Views into the body. */
  readonly arguments: readonly (Uint8Array | null)[];
  readonly resultFormat: FormatCode;
}

export function decodeFunctionCall(body: Uint8Array): FunctionCall {
  const reader = new MessageReader('FunctionCall', body);
  const functionOid = reader.u32();
  const formatCount = reader.u16();
  reader.expect(formatCount, 2);
  const argumentFormats = Array.from({ length: formatCount }, () => reader.i16());
  const count = reader.u16();
  reader.expect(count, 4);
  const values = Array.from({ length: count }, () => reader.value());
  const resultFormat = reader.i16();
  reader.end();
  return { type: 'FunctionCall', functionOid, argumentFormats, arguments: values, resultFormat };
}

export function encodeFunctionCall(message: Omit<FunctionCall, 'type'>): Uint8Array {
  const writer = new MessageWriter(FRONTEND.FunctionCall)
    .u32(message.functionOid)
    .u16(message.argumentFormats.length);
  for (const format of message.argumentFormats) {
    writer.i16(format);
  }
  writer.u16(message.arguments.length);
  for (const value of message.arguments) {
    writer.value(value);
  }
  return writer.i16(message.resultFormat).finish();
}
