import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import type { TextCodec } from './text-codec.ts';

/** Messages whose body is one String. @param message its name, for errors. */
export function decodeStringMessage(message: string, body: Uint8Array, text: TextCodec): string {
  const reader = new MessageReader(message, body);
  const value = reader.cstring(text);
  reader.end();
  return value;
}

export function encodeStringMessage(type: number, value: string, text: TextCodec): Uint8Array {
  return new MessageWriter(type).cstring(value, text).finish();
}
