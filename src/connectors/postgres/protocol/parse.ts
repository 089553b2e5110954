import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('P') · Int32 length · String statement ("" = unnamed) · String SQL · Int16 n · Int32 × n
 * type OIDs (0 = unspecified)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARSE
 */
export interface Parse {
  readonly type: 'Parse';
  readonly statement: string;
  readonly sql: string;
  readonly parameterTypes: readonly number[];
}

export function decodeParse(body: Uint8Array, text: TextCodec = UTF8): Parse {
  const reader = new MessageReader('Parse', body);
  const statement = reader.cstring(text);
  const sql = reader.cstring(text);
  const count = reader.u16();
  reader.expect(count, 4);
  const parameterTypes = Array.from({ length: count }, () => reader.u32());
  reader.end();
  return { type: 'Parse', statement, sql, parameterTypes };
}

export function encodeParse(message: Omit<Parse, 'type'>, text: TextCodec = UTF8): Uint8Array {
  const writer = new MessageWriter(FRONTEND.Parse)
    .cstring(message.statement, text)
    .cstring(message.sql, text)
    .u16(message.parameterTypes.length);
  for (const oid of message.parameterTypes) {
    writer.u32(oid);
  }
  return writer.finish();
}
