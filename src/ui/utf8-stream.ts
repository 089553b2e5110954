/**
 * UTF-8 to code points across any split. Unlike TextDecoder it tells a stray C1 byte (which an
 * 8-bit terminal acts on) from other malformed input: such a byte comes out as U+0080…U+009F, all
 * other malformed input as U+FFFD, as in https://encoding.spec.whatwg.org/#utf-8-decoder.
 */
const REPLACEMENT = 0xfffd;

export class Utf8Stream {
  #codePoint = 0;
  #needed = 0;
  #lower = 0x80;
  #upper = 0xbf;

  *decode(bytes: Uint8Array): Generator<number> {
    for (const byte of bytes) {
      if (this.#needed > 0) {
        if (byte >= this.#lower && byte <= this.#upper) {
          this.#codePoint = (this.#codePoint << 6) | (byte & 0x3f);
          this.#lower = 0x80;
          this.#upper = 0xbf;
          this.#needed -= 1;
          if (this.#needed === 0) {
            yield this.#codePoint;
          }
          continue;
        }
        // The broken character ends here; this byte is looked at again as a first byte.
        this.reset();
        yield REPLACEMENT;
      }
      const first = this.#first(byte);
      if (first !== undefined) {
        yield first;
      }
    }
  }

  reset(): void {
    this.#needed = 0;
    this.#lower = 0x80;
    this.#upper = 0xbf;
  }

  /** @returns a whole code point, or undefined when more bytes belong to it. */
  #first(byte: number): number | undefined {
    if (byte < 0xa0) {
      return byte;
    }
    if (byte >= 0xc2 && byte <= 0xdf) {
      this.#needed = 1;
      this.#codePoint = byte & 0x1f;
    } else if (byte >= 0xe0 && byte <= 0xef) {
      // Overlong forms and surrogates are malformed.
      this.#lower = byte === 0xe0 ? 0xa0 : 0x80;
      this.#upper = byte === 0xed ? 0x9f : 0xbf;
      this.#needed = 2;
      this.#codePoint = byte & 0x0f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      this.#lower = byte === 0xf0 ? 0x90 : 0x80;
      this.#upper = byte === 0xf4 ? 0x8f : 0xbf;
      this.#needed = 3;
      this.#codePoint = byte & 0x07;
    } else {
      return REPLACEMENT;
    }
    return undefined;
  }
}
