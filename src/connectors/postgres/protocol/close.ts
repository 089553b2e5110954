import { FRONTEND } from './message-types.ts';
import {
  decodeStatementOrPortal,
  encodeStatementOrPortal,
  type StatementOrPortal,
} from './statement-or-portal.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('C') · Int32 length · Byte1 'S' statement or 'P' portal · String name
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CLOSE
 */
export interface Close extends StatementOrPortal {
  readonly type: 'Close';
}

export function decodeClose(body: Uint8Array, text: TextCodec = UTF8): Close {
  return { type: 'Close', ...decodeStatementOrPortal('Close', body, text) };
}

export function encodeClose(message: StatementOrPortal, text: TextCodec = UTF8): Uint8Array {
  return encodeStatementOrPortal(FRONTEND.Close, message, text);
}
