import { FRONTEND } from './message-types.ts';
import { decodeStringMessage, encodeStringMessage } from './string-message.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('f') · Int32 length · String why
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COPYFAIL
 */
export interface CopyFail {
  readonly type: 'CopyFail';
  readonly message: string;
}

export function decodeCopyFail(body: Uint8Array, text: TextCodec = UTF8): CopyFail {
  return { type: 'CopyFail', message: decodeStringMessage('CopyFail', body, text) };
}

export function encodeCopyFail(fail: Omit<CopyFail, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return encodeStringMessage(FRONTEND.CopyFail, fail.message, text);
}
