import { ProtocolError } from '../../../errors.ts';

const TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the fields of one body. Everything throws ProtocolError for what is not as it should be. */
export class BodyReader {
  readonly #body: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(body: Uint8Array) {
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  byte(): number {
    this.#need(1);
    this.#at += 1;
    return this.#view.getUint8(this.#at - 1);
  }

  flag(): boolean {
    const value = this.byte();
    if (value > 1) {
      throw new ProtocolError(`a flag is 0 or 1 and not ${value}`);
    }
    return value === 1;
  }

  number(most = 0xffffffff): number {
    this.#need(4);
    this.#at += 4;
    const value = this.#view.getUint32(this.#at - 4);
    if (value > most) {
      throw new ProtocolError(`${value} is more than ${most}`);
    }
    return value;
  }

  /** @returns a view of the body */
  bytes(most: number): Uint8Array {
    const length = this.number(most);
    this.#need(length);
    this.#at += length;
    return this.#body.subarray(this.#at - length, this.#at);
  }

  text(most: number): string {
    const bytes = this.bytes(most);
    if (bytes.includes(0)) {
      throw new ProtocolError('a text has a NUL');
    }
    try {
      return TEXT.decode(bytes);
    } catch (error) {
      throw new ProtocolError('a text is not UTF-8', { cause: error });
    }
  }

  end(): void {
    if (this.#at !== this.#body.length) {
      throw new ProtocolError(`a frame has ${this.#body.length - this.#at} bytes too many`);
    }
  }

  #need(length: number): void {
    if (this.#body.length - this.#at < length) {
      throw new ProtocolError('a frame is shorter than what it says');
    }
  }
}
