import { FRONTEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('p') · Int32 length · bytes of the mechanism
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SASLRESPONSE
 */
export interface SASLResponse {
  readonly type: 'SASLResponse';
  /** A view into the body. */
  readonly data: Uint8Array;
}

export function decodeSASLResponse(body: Uint8Array): SASLResponse {
  return { type: 'SASLResponse', data: body };
}

export function encodeSASLResponse(message: Omit<SASLResponse, 'type'>): Uint8Array {
  return new MessageWriter(FRONTEND.PasswordMessage).bytes(message.data).finish();
}
