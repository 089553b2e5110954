import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('V') · Int32 length · Int32 length, -1 = NULL · bytes
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-FUNCTIONCALLRESPONSE
 */
export interface FunctionCallResponse {
  readonly type: 'FunctionCallResponse';
  /** A view into the body. */
  readonly value: Uint8Array | null;
}

export function decodeFunctionCallResponse(body: Uint8Array): FunctionCallResponse {
  const reader = new MessageReader('FunctionCallResponse', body);
  const value = reader.value();
  reader.end();
  return { type: 'FunctionCallResponse', value };
}

export function encodeFunctionCallResponse(
  message: Omit<FunctionCallResponse, 'type'>,
): Uint8Array {
  return new MessageWriter(BACKEND.FunctionCallResponse).value(message.value).finish();
}
