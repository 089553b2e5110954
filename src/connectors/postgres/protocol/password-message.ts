import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('p') · Int32 length · String password or its md5 answer
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PASSWORDMESSAGE
 */
export interface PasswordMessage {
  readonly type: 'PasswordMessage';
  readonly password: string;
}

export function decodePasswordMessage(body: Uint8Array, text: TextCodec = UTF8): PasswordMessage {
  const reader = new MessageReader('PasswordMessage', body);
  const password = reader.cstring(text);
  reader.end();
  return { type: 'PasswordMessage', password };
}

export function encodePasswordMessage(
  message: Omit<PasswordMessage, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return new MessageWriter(FRONTEND.PasswordMessage).cstring(message.password, text).finish();
}
