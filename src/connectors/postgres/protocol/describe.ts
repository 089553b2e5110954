import { FRONTEND } from './message-types.ts';
import {
  decodeStatementOrPortal,
  encodeStatementOrPortal,
  type StatementOrPortal,
} from './statement-or-portal.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('D') · Int32 length · Byte1 'S' statement or 'P' portal · String name
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DESCRIBE
 */
export interface Describe extends StatementOrPortal {
  readonly type: 'Describe';
}

export function decodeDescribe(body: Uint8Array, text: TextCodec = UTF8): Describe {
  return { type: 'Describe', ...decodeStatementOrPortal('Describe', body, text) };
}

export function encodeDescribe(message: StatementOrPortal, text: TextCodec = UTF8): Uint8Array {
  return encodeStatementOrPortal(FRONTEND.Describe, message, text);
}
