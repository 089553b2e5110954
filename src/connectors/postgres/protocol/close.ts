import { MalformedMessage } from './malformed-message.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('C') · Int32 length · Byte1 'S' statement or 'P' portal · String name
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CLOSE
 */
export interface Close {
  readonly type: 'Close';
  readonly what: 'statement' | 'portal';
  readonly name: string;
}

const STATEMENT = 0x53;
const PORTAL = 0x50;

export function decodeClose(body: Uint8Array, text: TextCodec = UTF8): Close {
  const reader = new MessageReader('Close', body);
  const kind = reader.u8();
  if (kind !== STATEMENT && kind !== PORTAL) {
    throw new MalformedMessage(`Close is for neither a statement nor a portal: ${kind}`);
  }
  const name = reader.cstring(text);
  reader.end();
  return { type: 'Close', what: kind === STATEMENT ? 'statement' : 'portal', name };
}

export function encodeClose(message: Omit<Close, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return new MessageWriter(FRONTEND.Close)
    .u8(message.what === 'statement' ? STATEMENT : PORTAL)
    .cstring(message.name, text)
    .finish();
}
