const ENCODER = new TextEncoder();

/** Builds one body. A value that no frame may have is a fault of ours: RangeError. */
export class BodyWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Its bytes, behind so many that are left free. */
  finish(header: number): Uint8Array {
    const bytes = new Uint8Array(header + this.#length);
    let at = header;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  byte(value: number): this {
    return this.#add(Uint8Array.of(value));
  }

  flag(value: boolean): this {
    return this.byte(value ? 1 : 0);
  }

  number(value: number, most = 0xffffffff): this {
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new RangeError(`${value} is no number from 0 to ${most}`);
    }
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    return this.#add(bytes);
  }

  bytes(value: Uint8Array, most: number): this {
    if (value.length > most) {
      throw new RangeError(`a string of ${value.length} bytes is longer than ${most}`);
    }
    return this.number(value.length).#add(value);
  }

  /** UTF-8 without NUL. */
  text(value: string, most: number): this {
    if (value.includes('\0')) {
      throw new RangeError('a text has a NUL');
    }
    return this.bytes(ENCODER.encode(value), most);
  }

  #add(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}
