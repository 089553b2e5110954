import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('Q') · Int32 length · String SQL, maybe several statements
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-QUERY
 */
export interface Query {
  readonly type: 'Query';
  readonly sql: string;
}

export function decodeQuery(body: Uint8Array, text: TextCodec = UTF8): Query {
  const reader = new MessageReader('Query', body);
  const sql = reader.cstring(text);
  reader.end();
  return { type: 'Query', sql };
}

export function encodeQuery(message: Omit<Query, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return new MessageWriter(FRONTEND.Query).cstring(message.sql, text).finish();
}
