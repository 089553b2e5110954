import { FRONTEND } from './message-types.ts';
import { decodeStringMessage, encodeStringMessage } from './string-message.ts';
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
  return { type: 'PasswordMessage', password: decodeStringMessage('PasswordMessage', body, text) };
}

export function encodePasswordMessage(
  message: Omit<PasswordMessage, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return encodeStringMessage(FRONTEND.PasswordMessage, message.password, text);
}
