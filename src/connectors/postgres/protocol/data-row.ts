import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';

/**
 * Byte1('D') · Int32 length · Int16 n · (Int32 length, -1 = NULL · bytes) × n
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-DATAROW
 */
export interface DataRow {
  readonly type: 'DataRow';
  /** Views into the body. */
  readonly values: readonly (Uint8Array | null)[];
}

export function decodeDataRow(body: Uint8Array): DataRow {
  const reader = new MessageReader('DataRow', body);
  const count = reader.u16();
  reader.expect(count, 4);
  const values: (Uint8Array | null)[] = [];
  for (let at = 0; at < count; at++) {
    values.push(reader.value());
  }
  reader.end();
  return { type: 'DataRow', values };
}

export function encodeDataRow(message: Omit<DataRow, 'type'>): Uint8Array {
  const writer = new MessageWriter(BACKEND.DataRow).u16(message.values.length);
  for (const value of message.values) {
    writer.value(value);
  }
  return writer.finish();
}
