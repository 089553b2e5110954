import { MalformedMessage } from './malformed-message.ts';
import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('D') · Int32 length · Byte1 'S' statement or 'P' portal · String name
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DESCRIBE
 */
export interface Describe {
  readonly type: 'Describe';
  readonly what: 'statement' | 'portal';
  readonly name: string;
}

const STATEMENT = 0x53;
const PORTAL = 0x50;

export function decodeDescribe(body: Uint8Array, text: TextCodec = UTF8): Describe {
  const reader = new MessageReader('Describe', body);
  const kind = reader.u8();
  if (kind !== STATEMENT && kind !== PORTAL) {
    throw new MalformedMessage(`Describe is for neither a statement nor a portal: ${kind}`);
  }
  const name = reader.cstring(text);
  reader.end();
  return { type: 'Describe', what: kind === STATEMENT ? 'statement' : 'portal', name };
}

export function encodeDescribe(
  message: Omit<Describe, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return new MessageWriter(FRONTEND.Describe)
    .u8(message.what === 'statement' ? STATEMENT : PORTAL)
    .cstring(message.name, text)
    .finish();
}
