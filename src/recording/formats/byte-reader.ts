import { FormatError } from '../../format-error.ts';

/**
 * Bounds-checked big-endian reading. `what` names the structure in errors. Views that it gives
 * out share the memory of the input.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Offsets and times fit a double exactly; a value that does not is refused, never rounded. */
  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new FormatError(`${this.#what} has a number above 2^53`);
    }
    return Number(value);
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** @throws FormatError when bytes are left over. */
  end(): void {
    if (this.remaining !== 0) {
      throw new FormatError(`${this.#what} has ${this.remaining} bytes too many`);
    }
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw new FormatError(`${this.#what} ends early`);
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
