import { FRONTEND } from './message-types.ts';
import { decodeStringMessage, encodeStringMessage } from './string-message.ts';
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
  return { type: 'Query', sql: decodeStringMessage('Query', body, text) };
}

export function encodeQuery(message: Omit<Query, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return encodeStringMessage(FRONTEND.Query, message.sql, text);
}
