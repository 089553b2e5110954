import { MessageReader } from './message-reader.ts';
import { BACKEND } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Byte1('v') · Int32 length · Int32 newest version supported (major << 16 | minor, so 196608 is
 * 3.0) · Int32 n · String × n options not recognised. The docs call the first number the minor
 * version; PostgreSQL sends the whole one and libpq expects that.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-NEGOTIATEPROTOCOLVERSION
 */
export interface NegotiateProtocolVersion {
  readonly type: 'NegotiateProtocolVersion';
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly unrecognizedOptions: readonly string[];
}

export function decodeNegotiateProtocolVersion(
  body: Uint8Array,
  text: TextCodec = UTF8,
): NegotiateProtocolVersion {
  const reader = new MessageReader('NegotiateProtocolVersion', body);
  const majorVersion = reader.u16();
  const minorVersion = reader.u16();
  const count = reader.u32();
  reader.expect(count, 1);
  const unrecognizedOptions = Array.from({ length: count }, () => reader.cstring(text));
  reader.end();
  return { type: 'NegotiateProtocolVersion', majorVersion, minorVersion, unrecognizedOptions };
}

export function encodeNegotiateProtocolVersion(
  message: Omit<NegotiateProtocolVersion, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  const writer = new MessageWriter(BACKEND.NegotiateProtocolVersion)
    .u16(message.majorVersion)
    .u16(message.minorVersion)
    .u32(message.unrecognizedOptions.length);
  for (const option of message.unrecognizedOptions) {
    writer.cstring(option, text);
  }
  return writer.finish();
}
