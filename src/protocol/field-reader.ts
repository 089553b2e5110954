import type { ProtocolError } from '../errors.ts';

/**
 * Reads the fields of one body, big-endian, never past its end: every read checks the length first
 * and `end()` refuses what is left over. Bytes it gives out are views of the body.
 */
export abstract class FieldReader {
  readonly name: string;
  protected readonly body: Uint8Array;
  protected at = 0;

  /** @param name of the message, for people. */
  constructor(name: string, body: Uint8Array) {
    this.name = name;
    this.body = body;
  }

  /** @param text begins with the name of the message. */
  protected abstract fault(text: string): ProtocolError;

  get remaining(): number {
    return this.body.length - this.at;
  }

  // Without DataView: a second object for each body would cost more than these few bytes.

  u8(): number {
    return this.body[this.take(1)] ?? 0;
  }

  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  u16(): number {
    return this.#pair(this.take(2));
  }

  i32(): number {
    const at = this.take(4);
    return (this.#pair(at) << 16) | this.#pair(at + 2);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  u64(): bigint {
    const at = this.take(8);
    const high = (this.#pair(at) << 16) | this.#pair(at + 2);
    const low = (this.#pair(at + 4) << 16) | this.#pair(at + 6);
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
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

  #pair(at: number): number {
    return ((this.body[at] ?? 0) << 8) | (this.body[at + 1] ?? 0);
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
