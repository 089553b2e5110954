import { MessageReader } from './message-reader.ts';
import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { BYTES } from './text-codec.ts';

/**
 * Byte1('p') · Int32 length · String mechanism · Int32 length, -1 = none · bytes
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SASLINITIALRESPONSE
 */
export interface SASLInitialResponse {
  readonly type: 'SASLInitialResponse';
  readonly mechanism: string;
  /** A view into the body; null: the mechanism has no initial response. */
  readonly data: Uint8Array | null;
}

export function decodeSASLInitialResponse(body: Uint8Array): SASLInitialResponse {
  const reader = new MessageReader('SASLInitialResponse', body);
  const mechanism = reader.cstring(BYTES);
  const data = reader.value();
  reader.end();
  return { type: 'SASLInitialResponse', mechanism, data };
}

export function encodeSASLInitialResponse(message: Omit<SASLInitialResponse, 'type'>): Uint8Array {
  return new MessageWriter(FRONTEND.PasswordMessage)
    .cstring(message.mechanism, BYTES)
    .value(message.data)
    .finish();
}
