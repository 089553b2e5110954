/** The fields of PostgreSQL's messages, and from a layout of them to a codec. */

import { ProtocolError } from '../../../errors.ts';
import {
  type Field,
  type Layout,
  readFields,
  type ValuesOf,
  writeFields,
} from '../../../protocol/layout.ts';
import type { FormatCode } from './format-code.ts';
import { MAX_CANCEL_KEY_LENGTH, MIN_CANCEL_KEY_LENGTH } from './limits.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

export type MessageField<Value> = Field<MessageReader, MessageWriter, Value>;
export type MessageLayout = Layout<MessageReader, MessageWriter>;

/** Both directions of one message; the body is what stands behind its length. */
export function message<Fields extends MessageLayout>(
  name: string,
  type: number | undefined,
  fields: Fields,
) {
  return {
    /** @throws ProtocolError, MalformedMessage where the server would go on. */
    decode(body: Uint8Array, text: TextCodec = UTF8): ValuesOf<Fields> {
      const reader = new MessageReader(name, body, text);
      const values = readFields(fields, reader);
      reader.end();
      return values;
    },
    /** @returns the message with type and length. @throws ProtocolError for what does not fit. */
    encode(values: ValuesOf<Fields>, text: TextCodec = UTF8): Uint8Array {
      const writer = new MessageWriter(type, text);
      writeFields(fields, writer, values);
      return writer.finish();
    },
  };
}

type Number = MessageField<number>;
export const U8: Number = { read: (reader) => reader.u8(), write: (writer, n) => writer.u8(n) };
export const I16: Number = { read: (reader) => reader.i16(), write: (writer, n) => writer.i16(n) };
export const U16: Number = { read: (reader) => reader.u16(), write: (writer, n) => writer.u16(n) };
export const I32: Number = { read: (reader) => reader.i32(), write: (writer, n) => writer.i32(n) };
export const U32: Number = { read: (reader) => reader.u32(), write: (writer, n) => writer.u32(n) };

export const STRING: MessageField<string> = {
  read: (reader) => reader.cstring(),
  write: (writer, value) => writer.cstring(value),
};

/** Int32 length, -1 = NULL · bytes. A view into the body. */
export const VALUE: MessageField<Uint8Array | null> = {
  read: (reader) => reader.value(),
  write: (writer, value) => writer.value(value),
};

/** All that is left. A view into the body. */
export const REST: MessageField<Uint8Array> = {
  read: (reader) => reader.rest(),
  write: (writer, value) => writer.bytes(value),
};

/** A count, and so many items of at least so many bytes each. */
export function list<Item>(
  count: Number,
  item: MessageField<Item>,
  leastBytes: number,
): MessageField<readonly Item[]> {
  return {
    read(reader) {
      const length = count.read(reader);
      reader.expect(length, leastBytes);
      const items: Item[] = [];
      for (let nth = 0; nth < length; nth += 1) items.push(item.read(reader));
      return items;
    },
    write(writer, items) {
      count.write(writer, items.length);
      for (const value of items) item.write(writer, value);
    },
  };
}

export const FORMATS: MessageField<readonly FormatCode[]> = list(U16, I16, 2);
export const VALUES = list(U16, VALUE, 4);
export const TYPE_OIDS = list(U16, U32, 4);

/** The key of BackendKeyData and CancelRequest: 4 bytes in 3.0, 4 to 256 in 3.2. */
export function cancelKey(name: string): MessageField<Uint8Array> {
  const checked = (key: Uint8Array): Uint8Array => {
    if (key.length < MIN_CANCEL_KEY_LENGTH || key.length > MAX_CANCEL_KEY_LENGTH) {
      throw new ProtocolError(`${name} has a key of ${key.length} bytes`);
    }
    return key;
  };
  return {
    read: (reader) => checked(reader.rest()),
    write: (writer, key) => writer.bytes(checked(key)),
  };
}

/** Several fields as one. */
export function record<Fields extends MessageLayout>(
  fields: Fields,
): MessageField<ValuesOf<Fields>> {
  return {
    read: (reader) => readFields(fields, reader),
    write: (writer, values) => writeFields(fields, writer, values),
  };
}
