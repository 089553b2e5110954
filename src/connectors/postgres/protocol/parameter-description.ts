import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('t') · Int32 length · Int16 n · Int32 × n type OIDs
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARAMETERDESCRIPTION
 */
export interface ParameterDescription {
  readonly type: 'ParameterDescription';
  readonly parameterTypes: readonly number[];
}

export function decodeParameterDescription(body: Uint8Array): ParameterDescription {
  const reader = new MessageReader('ParameterDescription', body);
  const count = reader.u16();
  reader.expect(count, 4);
  const parameterTypes = Array.from({ length: count }, () => reader.u32());
  reader.end();
  return { type: 'ParameterDescription', parameterTypes };
}

export function encodeParameterDescription(
  message: Omit<ParameterDescription, 'type'>,
): Uint8Array {
  const writer = new MessageWriter(BACKEND.ParameterDescription).u16(message.parameterTypes.length);
  for (const oid of message.parameterTypes) {
    writer.u32(oid);
  }
  return writer.finish();
}
