import { ProtocolError } from '../../../errors.ts';
import { MAX_CANCEL_KEY_LENGTH, MIN_CANCEL_KEY_LENGTH } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('K') · Int32 length · Int32 process ID · Byten key (4 bytes in 3.0, 4 to 256 in 3.2)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-BACKENDKEYDATA
 */
export interface BackendKeyData {
  readonly type: 'BackendKeyData';
  readonly processId: number;
  /** A view into the body. */
  readonly secretKey: Uint8Array;
}

export function decodeBackendKeyData(body: Uint8Array): BackendKeyData {
  const reader = new MessageReader('BackendKeyData', body);
  const processId = reader.i32();
  const secretKey = reader.rest();
  checkKeyLength(secretKey);
  return { type: 'BackendKeyData', processId, secretKey };
}

export function encodeBackendKeyData(message: Omit<BackendKeyData, 'type'>): Uint8Array {
  checkKeyLength(message.secretKey);
  return new MessageWriter(BACKEND.BackendKeyData)
    .i32(message.processId)
    .bytes(message.secretKey)
    .finish();
}

function checkKeyLength(key: Uint8Array): void {
  if (key.length < MIN_CANCEL_KEY_LENGTH || key.length > MAX_CANCEL_KEY_LENGTH) {
    throw new ProtocolError(`BackendKeyData has a key of ${key.length} bytes`);
  }
}
