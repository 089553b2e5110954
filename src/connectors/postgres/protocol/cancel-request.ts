import { ProtocolError } from '../../../errors.ts';
import { MAX_CANCEL_KEY_LENGTH, MIN_CANCEL_KEY_LENGTH } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { CANCEL_REQUEST_CODE } from './request-codes.ts';

/**
 * Int32 length · Int32(80877102) · Int32 process ID · Byten key (4 bytes in 3.0, up to 256 in 3.2)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST
 */
export interface CancelRequest {
  readonly type: 'CancelRequest';
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

export function decodeCancelRequest(body: Uint8Array): CancelRequest {
  const reader = new MessageReader('CancelRequest', body);
  if (reader.u32() !== CANCEL_REQUEST_CODE) {
    throw new ProtocolError('CancelRequest has the wrong code');
  }
  const processId = reader.i32();
  const secretKey = reader.rest();
  checkKeyLength(secretKey);
  return { type: 'CancelRequest', processId, secretKey };
}

export function encodeCancelRequest(message: Omit<CancelRequest, 'type'>): Uint8Array {
  checkKeyLength(message.secretKey);
  return new MessageWriter(undefined)
    .u32(CANCEL_REQUEST_CODE)
    .i32(message.processId)
    .bytes(message.secretKey)
    .finish();
}

function checkKeyLength(key: Uint8Array): void {
  if (key.length < MIN_CANCEL_KEY_LENGTH || key.length > MAX_CANCEL_KEY_LENGTH) {
    throw new ProtocolError(`CancelRequest has a key of ${key.length} bytes`);
  }
}
