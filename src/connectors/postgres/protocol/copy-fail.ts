import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
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
  const reader = new MessageReader('CopyFail', body);
  const message = reader.cstring(text);
  reader.end();
  return { type: 'CopyFail', message };
}

export function encodeCopyFail(fail: Omit<CopyFail, 'type'>, text: TextCodec = UTF8): Uint8Array {
  return new MessageWriter(FRONTEND.CopyFail).cstring(fail.message, text).finish();
}
