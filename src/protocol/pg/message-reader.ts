import { MalformedMessage } from './malformed-message.ts';
import type { TextCodec } from './text-codec.ts';

/**
 * Reads one message body, big-endian, never past its end: every read checks the length first and
 * `end()` refuses what is left over. Bytes it gives out are views into the body.
 */
export class MessageReader {
  readonly #name: string;
  readonly #body: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(name: string, body: Uint8Array) {
    this.#name = name;
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  get remaining(): number {
    return this.#body.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2));
  }

  /** A count: the docs say Int16, the server reads it unsigned (65535 parameters are legal). */
  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#body.subarray(start, start + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** Int32 length and so many bytes; -1 is NULL, any other negative length is refused. */
  value(): Uint8Array | null {
    const length = this.#valueLength();
    return length === -1 ? null : this.bytes(length);
  }

  /** As `value`, without a view of it. */
  skipValue(): void {
    const length = this.#valueLength();
    if (length > 0) this.#take(length);
  }

  #valueLength(): number {
    const length = this.i32();
    if (length < -1) {
      throw new MalformedMessage(`${this.#name} has a value of length ${length}`);
    }
    return length;
  }

  /** String ended by NUL, which is read and not returned. */
  cstring(text: TextCodec): string {
    const start = this.#at;
    this.skipString();
    return text.decode(this.#body.subarray(start, this.#at - 1));
  }

  skipString(): void {
    const end = this.#body.indexOf(0, this.#at);
    if (end === -1) {
      throw new MalformedMessage(`${this.#name} has a string without end`);
    }
    this.#at = end + 1;
  }

  /** `count` items, of which each takes at least `minimumLength` bytes: refused before any is read. */
  expect(count: number, minimumLength: number): void {
    if (count * minimumLength > this.remaining) {
      throw new MalformedMessage(`${this.#name} is too short for its count of ${count}`);
    }
  }

  end(): void {
    if (this.remaining !== 0) {
      throw new MalformedMessage(`${this.#name} has ${this.remaining} bytes too many`);
    }
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw new MalformedMessage(
        `${this.#name} ends early: ${length} bytes wanted, ${this.remaining} left`,
      );
    }
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
