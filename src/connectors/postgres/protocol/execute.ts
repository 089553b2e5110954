import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('E') · Int32 length · String portal · Int32 row limit (0 or less = none)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-EXECUTE
 */
export interface Execute {
  readonly type: 'Execute';
  readonly portal: string;
  readonly maxRows: number;
}

export function decodeExecute(body: Uint8Array, text: TextCodec = UTF8): Execute {
  const reader = new MessageReader('Execute', body);
  const portal = reader.cstring(text);
  const maxRows = reader.i32();
  reader.end();
  return { type: 'Execute', portal, maxRows };
}

export function encodeExecute(message: Omit<Execute, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return new MessageWriter(FRONTEND.Execute)
    .cstring(message.portal, text)
    .i32(message.maxRows)
    .finish();
}
