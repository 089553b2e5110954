import type { ProtocolError } from '../errors.ts';

/**
 * Reads the fields of one body, big-endian, never past its end: every read checks the length first
 * and `end()` refuses what is left over. Bytes it gives out are views of the body.
 */
export abstract class FieldReader {
  protected readonly name: string;
  protected readonly body: Uint8Array;
  protected at = 0;
  readonly #view: DataView;

  /** @param name of the message, for people. */
  constructor(name: string, body: Uint8Array) {
    this.name = name;
    this.body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  /** @param text begins with the name of the message. */
  protected abstract fault(text: string): ProtocolError;

  get remaining(): number {
    return this.body.length - this.at;
  }

  u8(): number {
    return this.#view.getUint8(this.take(1));
  }

  i16(): number {
    return this.#view.getInt16(this.take(2));
  }

  u16(): number {
    return this.#view.getUint16(this.take(2));
  }

  i32(): number {
    return this.#view.getInt32(this.take(4));
  }

  u32(): number {
    return this.#view.getUint32(this.take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.take(8));
  }

  bytes(length: number): Uint8Array {
    const start = this.take(length);
    return this.body.subarray(start, start + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** `count` items, of which each takes at least `minimumLength` bytes: refused before any is read. */
  expect(count: number, minimumLength: number): void {
    if (count * minimumLength > this.remaining) {
      throw this.fault(`${this.name} is too short for its count of ${count}`);
    }
  }

  end(): void {
    if (this.remaining !== 0) {
      throw this.fault(`${this.name} has ${this.remaining} bytes too many`);
    }
  }

  /** @returns where the bytes begin. */
  protected take(length: number): number {
    if (length > this.remaining) {
      throw this.fault(`${this.name} ends early: ${length} bytes wanted, ${this.remaining} left`);
    }
    const start = this.at;
    this.at += length;
    return start;
  }
}
