import type { FormatCode } from './format-code.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * CopyInResponse 'G', CopyOutResponse 'H' and CopyBothResponse 'W' share one layout:
 * Byte1 type · Int32 length · Int8 overall format · Int16 n · Int16 × n column formats
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COPYINRESPONSE
 */
export interface CopyResponse {
  readonly type: CopyResponseName;
  /** 0: rows are lines of text; 1: binary COPY format. */
  readonly format: FormatCode;
  readonly columnFormats: readonly FormatCode[];
}

export type CopyResponseName = 'CopyInResponse' | 'CopyOutResponse' | 'CopyBothResponse';

export function decodeCopyResponse(name: CopyResponseName, body: Uint8Array): CopyResponse {
  const reader = new MessageReader(name, body);
  const format = reader.u8();
  const count = reader.u16();
  reader.expect(count, 2);
  const columnFormats = Array.from({ length: count }, () => reader.i16());
  reader.end();
  return { type: name, format, columnFormats };
}

export function encodeCopyResponse(message: CopyResponse): Uint8Array {
  const writer = new MessageWriter(BACKEND[message.type])
    .u8(message.format)
    .u16(message.columnFormats.length);
  for (const format of message.columnFormats) {
    writer.i16(format);
  }
  return writer.finish();
}
