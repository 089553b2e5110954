import { BACKEND } from './message-types.ts';
import { decodeStringMessage, encodeStringMessage } from './string-message.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('C') · Int32 length · String tag, e.g. "SELECT 5"
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE
 */
export interface CommandComplete {
  readonly type: 'CommandComplete';
  readonly tag: string;
}

export function decodeCommandComplete(body: Uint8Array, text: TextCodec = UTF8): CommandComplete {
  return { type: 'CommandComplete', tag: decodeStringMessage('CommandComplete', body, text) };
}

export function encodeCommandComplete(
  message: Omit<CommandComplete, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeStringMessage(BACKEND.CommandComplete, message.tag, text);
}
