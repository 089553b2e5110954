import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('d') · Int32 length · bytes; the same in both directions
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COPYDATA
 */
export interface CopyData {
  readonly type: 'CopyData';
  /** A view into the body. */
  readonly data: Uint8Array;
}

export function decodeCopyData(body: Uint8Array): CopyData {
  return { type: 'CopyData', data: body };
}

export function encodeCopyData(message: Omit<CopyData, 'type'>): Uint8Array {
  return new MessageWriter(FRONTEND.CopyData).bytes(message.data).finish();
}
