import { ProtocolError } from '../../../errors.ts';
import { MAX_MESSAGE_LENGTH } from './limits.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

const TYPE_LENGTH = 1;
const LENGTH_LENGTH = 4;

/**
 * Builds one message with its type byte (none: a startup packet) and its length. Strings with a
 * NUL are refused, because what follows it would be read as the next field: `x\0user\0admin` as
 * application_name would change who logs in.
 */
export class MessageWriter {
  #buffer = new Uint8Array(64);
  #view = new DataView(this.#buffer.buffer);
  #length: number;
  readonly #lengthAt: number;
  readonly #text: TextCodec;

  constructor(type: number | undefined, text: TextCodec = UTF8) {
    this.#text = text;
    this.#lengthAt = type === undefined ? 0 : TYPE_LENGTH;
    this.#length = this.#lengthAt + LENGTH_LENGTH;
    if (type !== undefined) {
      this.#buffer[0] = type;
    }
  }

  u8(value: number): this {
    this.#check(value, 0, 0xff);
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  i16(value: number): this {
    this.#check(value, -0x8000, 0x7fff);
    const at = this.#grow(2);
    this.#view.setInt16(at, value);
    return this;
  }

  u16(value: number): this {
    this.#check(value, 0, 0xffff);
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
    return this;
  }

  i32(value: number): this {
    this.#check(value, -0x80000000, 0x7fffffff);
    const at = this.#grow(4);
    this.#view.setInt32(at, value);
    return this;
  }

  u32(value: number): this {
    this.#check(value, 0, 0xffffffff);
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const start = this.#grow(value.length);
    this.#buffer.set(value, start);
    return this;
  }

  value(value: Uint8Array | null): this {
    return value === null ? this.i32(-1) : this.i32(value.length).bytes(value);
  }

  cstring(value: string): this {
    const bytes = this.#text.encode(value);
    if (bytes.includes(0)) {
      throw new ProtocolError('text for a message contains a NUL character');
    }
    return this.bytes(bytes).u8(0);
  }

  finish(): Uint8Array {
    this.#view.setUint32(this.#lengthAt, this.#length - this.#lengthAt);
    return this.#buffer.subarray(0, this.#length);
  }

  #check(value: number, minimum: number, maximum: number): void {
    if (!Number.isInteger(value) || value < minimum || value > maximum) {
      throw new ProtocolError(`number ${value} does not fit its field`);
    }
  }

  /** May replace the view: take it after. @returns where the new bytes begin. */
  #grow(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end - this.#lengthAt > MAX_MESSAGE_LENGTH) {
      throw new ProtocolError(`message is longer than ${MAX_MESSAGE_LENGTH} bytes`);
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
