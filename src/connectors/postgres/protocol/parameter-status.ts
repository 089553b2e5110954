import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('S') · Int32 length · String name · String value
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARAMETERSTATUS
 */
export interface ParameterStatus {
  readonly type: 'ParameterStatus';
  readonly name: string;
  readonly value: string;
}

export function decodeParameterStatus(body: Uint8Array, text: TextCodec = UTF8): ParameterStatus {
  const reader = new MessageReader('ParameterStatus', body);
  const name = reader.cstring(text);
  const value = reader.cstring(text);
  reader.end();
  return { type: 'ParameterStatus', name, value };
}

export function encodeParameterStatus(
  message: Omit<ParameterStatus, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  return new MessageWriter(BACKEND.ParameterStatus)
    .cstring(message.name, text)
    .cstring(message.value, text)
    .finish();
}
