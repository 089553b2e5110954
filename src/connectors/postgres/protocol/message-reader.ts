import { FieldReader } from '../../../protocol/field-reader.ts';
import { MalformedMessage } from './malformed-message.ts';
import { type TextCodec, UTF8 } from './text-codec.ts';

/**
 * The body of one message. A count is Int16 by the docs; the server reads it unsigned, and 65535
 * parameters are legal: `u16`.
 */
export class MessageReader extends FieldReader {
  readonly #text: TextCodec;

  /** @param name of the message, for people. */
  constructor(name: string, body: Uint8Array, text: TextCodec = UTF8) {
    super(name, body);
    this.#text = text;
  }

  protected fault(text: string): MalformedMessage {
    return new MalformedMessage(text);
  }

  /** Int32 length and so many bytes; -1 is NULL, any other negative length is refused. */
  value(): Uint8Array | null {
    const length = this.#valueLength();
    return length === -1 ? null : this.bytes(length);
  }

  /** As `value`, without a view of it. */
  skipValue(): void {
    const length = this.#valueLength();
    if (length > 0) this.take(length);
  }

  #valueLength(): number {
    const length = this.i32();
    if (length < -1) {
      throw this.fault(`${this.name} has a value of length ${length}`);
    }
    return length;
  }

  /** String ended by NUL, which is read and not returned. */
  cstring(): string {
    const start = this.at;
    this.skipString();
    const end = this.at - 1;
    // Most names are empty.
    return start === end ? '' : this.#text.decode(this.body.subarray(start, end));
  }

  skipString(): void {
    const end = this.body.indexOf(0, this.at);
    if (end === -1) {
      throw this.fault(`${this.name} has a string without end`);
    }
    this.at = end + 1;
  }
}
