/**
 * The packets that open a connection: they have a length and no type byte.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { ProtocolError } from '../../../errors.ts';
import { readFields, type ValuesOf, writeFields } from '../../../protocol/layout.ts';
import { MAX_STARTUP_PACKET_LENGTH, MIN_STARTUP_PACKET_LENGTH } from './limits.ts';
import { cancelKey, I32, type MessageLayout } from './message-layout.ts';
import { MessageReader } from './message-reader.ts';
import { MessageWriter } from './message-writer.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/** Int32 length · Int32 code, in place of a version (pqcomm.h) · fields */
function packet<const Name extends string, Fields extends MessageLayout>(
  type: Name,
  code: number,
  fields: Fields,
) {
  return {
    code,
    /** @param body the packet without its length field. */
    decode(body: Uint8Array): { readonly type: Name } & ValuesOf<Fields> {
      const reader = new MessageReader(type, body);
      if (reader.u32() !== code) {
        throw new ProtocolError(`${type} has the wrong code`);
      }
      const values = readFields(fields, reader);
      reader.end();
      return { type, ...values };
    },
    encode(values: ValuesOf<Fields>): Uint8Array {
      const writer = new MessageWriter(undefined).u32(code);
      writeFields(fields, writer, values);
      return writer.finish();
    },
  };
}

const CANCEL = packet('CancelRequest', 80877102, {
  processId: I32,
  secretKey: cancelKey('CancelRequest'),
});
const SSL = packet('SSLRequest', 80877103, {});
const GSSENC = packet('GSSENCRequest', 80877104, {});

export const { decode: decodeCancelRequest, encode: encodeCancelRequest } = CANCEL;
export const { decode: decodeSSLRequest } = SSL;
export const { decode: decodeGSSENCRequest } = GSSENC;
export const encodeSSLRequest = (): Uint8Array => SSL.encode({});
export const encodeGSSENCRequest = (): Uint8Array => GSSENC.encode({});

export type CancelRequest = ReturnType<typeof decodeCancelRequest>;

/** Int32 length · Int16 major · Int16 minor · (String name · String value)* · Byte1(0) */
export interface StartupMessage {
  readonly type: 'StartupMessage';
  /** Always 3 here; the minor version may be anything and is negotiated. */
  readonly majorVersion: number;
  readonly minorVersion: number;
  /** In the order given. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** All other parameters of a StartupMessage are. `_pq_.…` are protocol extensions. */
function isSetting(parameter: string): boolean {
  return !/^(?:user|database|options|replication|_pq_\..*)$/s.test(parameter);
}

/**
 * @param body the packet without its length field.
 * A setting may come twice: the last counts, as at the server, and goes on alone.
 * @throws ProtocolError also if any other parameter does: PostgreSQL takes the last, others the first,
 *   and what was checked must be what is used.
 */
export function decodeStartupMessage(body: Uint8Array, text: TextCodec = UTF8): StartupMessage {
  const reader = new MessageReader('StartupMessage', body, text);
  const majorVersion = reader.u16();
  const minorVersion = reader.u16();
  if (majorVersion !== 3) {
    throw new ProtocolError(`protocol version ${majorVersion}.${minorVersion} is not supported`);
  }
  const parameters = new Map<string, string>();
  for (let name = reader.cstring(); name !== ''; name = reader.cstring()) {
    if (parameters.has(name) && !isSetting(name)) {
      throw new ProtocolError('StartupMessage gives a parameter twice');
    }
    parameters.set(name, reader.cstring());
  }
  reader.end();
  return { type: 'StartupMessage', majorVersion, minorVersion, parameters };
}

export function encodeStartupMessage(
  message: Omit<StartupMessage, 'type'>,
  text: TextCodec = UTF8,
): Uint8Array {
  const writer = new MessageWriter(undefined, text);
  writer.u16(message.majorVersion).u16(message.minorVersion);
  for (const [name, value] of message.parameters) {
    if (name === '') {
      throw new ProtocolError('StartupMessage cannot have a parameter without a name');
    }
    writer.cstring(name).cstring(value);
  }
  return writer.u8(0).finish();
}

export type StartupPacket =
  | StartupMessage
  | CancelRequest
  | ReturnType<typeof decodeSSLRequest>
  | ReturnType<typeof decodeGSSENCRequest>;

/** @param body the packet without its length field. */
export function decodeStartupPacket(body: Uint8Array, text: TextCodec = UTF8): StartupPacket {
  if (body.length < 4) {
    throw new ProtocolError('startup packet is too short');
  }
  switch (new DataView(body.buffer, body.byteOffset).getUint32(0)) {
    case CANCEL.code:
      return decodeCancelRequest(body);
    case SSL.code:
      return decodeSSLRequest(body);
    case GSSENC.code:
      return decodeGSSENCRequest(body);
    default:
      return decodeStartupMessage(body, text);
  }
}

export interface ReadPacket {
  readonly packet: StartupPacket;
  /** The packet as it came, length included. */
  readonly bytes: Uint8Array;
  /** What followed it in the last chunk. */
  readonly rest: Uint8Array;
}

/**
 * Collects one startup packet from any split of its bytes. The length is judged as soon as its
 * four bytes are there, before anything is kept: "GET " reads as 1 195 725 856 and a TLS
 * ClientHello as 369 295 617 or so, and both are refused at once.
 */
export class StartupPacketReader {
  readonly #buffer = new Uint8Array(MAX_STARTUP_PACKET_LENGTH);
  readonly #text: TextCodec;
  #filled = 0;

  constructor(text: TextCodec = UTF8) {
    this.#text = text;
  }

  /**
   * @returns undefined until the packet is complete; then the reader is ready for the next one.
   * @throws ProtocolError on a length outside 8 to 10000, or a packet that is none of the four.
   */
  push(chunk: Uint8Array): ReadPacket | undefined {
    let taken = this.#take(chunk, 0, 4);
    if (this.#filled < 4) {
      return undefined;
    }
    const length = new DataView(this.#buffer.buffer).getUint32(0);
    if (length < MIN_STARTUP_PACKET_LENGTH || length > MAX_STARTUP_PACKET_LENGTH) {
      throw new ProtocolError(`startup packet length ${length} is out of range`);
    }
    taken += this.#take(chunk, taken, length);
    if (this.#filled < length) {
      return undefined;
    }
    const bytes = this.#buffer.slice(0, length);
    this.#filled = 0;
    return {
      packet: decodeStartupPacket(bytes.subarray(4), this.#text),
      bytes,
      rest: chunk.subarray(taken),
    };
  }

  /** Fills up to `target` bytes. @returns how many of the chunk were taken. */
  #take(chunk: Uint8Array, from: number, target: number): number {
    const taken = Math.max(0, Math.min(target - this.#filled, chunk.length - from));
    this.#buffer.set(chunk.subarray(from, from + taken), this.#filled);
    this.#filled += taken;
    return taken;
  }
}
