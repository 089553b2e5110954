/** Fields of an SSH packet's payload, RFC 4251 §5. What is missing or too long is a ProtocolError. */
import { ProtocolError } from '../../../errors.ts';

export class PacketReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(payload: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    this.#at = at;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  boolean(): boolean {
    return this.byte() !== 0;
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** A view of the payload: whoever keeps it makes a copy. */
  string(): Buffer {
    const length = this.uint32();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** @throws ProtocolError when it is not UTF-8 */
  text(): string {
    const bytes = this.string();
    try {
      return UTF8.decode(bytes);
    } catch (cause) {
      throw new ProtocolError('a text is not UTF-8', { cause });
    }
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) {
      throw new ProtocolError('a packet is shorter than its fields');
    }
    this.#at = at + length;
    return at;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
