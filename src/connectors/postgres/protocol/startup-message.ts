import { ProtocolError } from '../../../errors.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * Int32 length · Int16 major · Int16 minor · (String name · String value)* · Byte1(0)
 * https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-STARTUPMESSAGE
 */
export interface StartupMessage {
  readonly type: 'StartupMessage';
  /** Always 3 here; the minor version may be anything and is negotiated. */
  readonly majorVersion: number;
  readonly minorVersion: number;
  /** In the order given. */
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * @param body the packet without its length field.
 * @throws ProtocolError also if a parameter is given twice: PostgreSQL takes the last, others the
 *   first, and what was checked must be what is used.
 */
export function decodeStartupMessage(body: Uint8Array, text: TextCodec = UTF8): StartupMessage {
  const reader = new MessageReader('StartupMessage', body);
  const majorVersion = reader.u16();
  const minorVersion = reader.u16();
  if (majorVersion !== 3) {
    throw new ProtocolError(`protocol version ${majorVersion}.${minorVersion} is not supported`);
  }
  const parameters = new Map<string, string>();
  for (let name = reader.cstring(text); name !== ''; name = reader.cstring(text)) {
    if (parameters.has(name)) {
      throw new ProtocolError('StartupMessage gives a parameter twice');
    }
    parameters.set(name, reader.cstring(text));
  }
  reader.end();
  return { type: 'StartupMessage', majorVersion, minorVersion, parameters };
}

export function encodeStartupMessage(
  message: Omit<StartupMessage, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  const writer = new MessageWriter(undefined);
  writer.u16(message.majorVersion).u16(message.minorVersion);
  for (const [name, value] of message.parameters) {
    if (name === '') {
      throw new ProtocolError('StartupMessage cannot have a parameter without a name');
    }
    writer.cstring(name, text).cstring(value, text);
  }
  return writer.u8(0).finish();
}
