import { MAX_PACKET_LENGTH } from './packet-types.ts';

/** Builds one packet: length, type, request id (of INIT and VERSION: the version), fields. */
export class PacketWriter {
  #buffer = new Uint8Array(128);
  #view = new DataView(this.#buffer.buffer);
  #length = 4;

  constructor(type: number, id: number) {
    const start = this.#grow(1);
    this.#buffer[start] = type;
    this.u32(id);
  }

  u32(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new RangeError(`${value} does not fit 32 bits`);
    }
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const start = this.#grow(value.length);
    this.#buffer.set(value, start);
    return this;
  }

  string(value: Uint8Array): this {
    return this.u32(value.length).bytes(value);
  }

  text(value: string): this {
    return this.string(new TextEncoder().encode(value));
  }

  finish(): Uint8Array {
    this.#view.setUint32(0, this.#length - 4);
    return this.#buffer.subarray(0, this.#length);
  }

  /** May replace buffer and view: take them after. @returns where the new bytes begin */
  #grow(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end - 4 > MAX_PACKET_LENGTH) {
      throw new RangeError(`packet is longer than ${MAX_PACKET_LENGTH} bytes`);
    }
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, start));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return start;
  }
}
