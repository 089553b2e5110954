/** Big-endian writing into exactly `length` bytes; too few or too many is a bug and throws. */
export class ByteWriter {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
    this.#view = new DataView(this.#bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#take(1), value);
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#take(2), value);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#take(4), checked(value, 0xffff_ffff));
    return this;
  }

  u64(value: number): this {
    this.#view.setBigUint64(this.#take(8), BigInt(checked(value, Number.MAX_SAFE_INTEGER)));
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#take(value.length));
    return this;
  }

  finish(): Uint8Array<ArrayBuffer> {
    if (this.#at !== this.#bytes.length) {
      throw new RangeError(`wrote ${this.#at} of ${this.#bytes.length} bytes`);
    }
    return this.#bytes;
  }

  #take(length: number): number {
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

function checked(value: number, limit: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > limit) {
    throw new RangeError(`${value} is not an unsigned integer up to ${limit}`);
  }
  return value;
}
