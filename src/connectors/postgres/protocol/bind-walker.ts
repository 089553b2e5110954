import type { FormatCode } from './format-code.ts';
import { MalformedMessage } from './malformed-message.ts';

type Field = 'formats' | 'values' | 'length' | 'resultFormats' | 'resultFormat' | 'end';

const WIDTH = { formats: 2, values: 2, length: 4, resultFormats: 2, resultFormat: 2 } as const;
/** As an Int32 length: NULL. */
const NULL = 0xffffffff;
const MAX_LENGTH = 0x3fffffff;

/**
 * Reads a Bind from behind its two names, in parts of any size, for the formats at its end. Values
 * are walked over and never kept: of a Bind of a gigabyte it holds four bytes.
 */
export class BindWalker {
  #field: Field = 'formats';
  /** Bytes to walk over before the next field. */
  #skip = 0;
  /** Of the field that is incomplete. */
  #number = 0;
  #read = 0;
  /** Values, or result formats, that are still to come. */
  #left = 0;
  readonly resultFormats: FormatCode[] = [];

  /** @throws MalformedMessage. */
  feed(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      if (at === bytes.length) return;
      if (this.#field === 'end') throw new MalformedMessage('Bind has bytes too many');
      this.#number = this.#number * 256 + (bytes[at] ?? 0);
      this.#read += 1;
      at += 1;
      if (this.#read < WIDTH[this.#field]) continue;
      const number = this.#number;
      this.#number = 0;
      this.#read = 0;
      this.#complete(this.#field, number);
    }
  }

  /** @throws MalformedMessage when something is missing. */
  end(): void {
    if (this.#field !== 'end' || this.#skip > 0) throw new MalformedMessage('Bind ends early');
  }

  #complete(field: Exclude<Field, 'end'>, number: number): void {
    switch (field) {
      case 'formats':
        this.#skip = number * 2;
        this.#field = 'values';
        return;
      case 'values':
        this.#left = number;
        this.#field = number === 0 ? 'resultFormats' : 'length';
        return;
      case 'length':
        if (number !== NULL) this.#skip = number;
        if (number !== NULL && number > MAX_LENGTH) {
          throw new MalformedMessage('Bind has a value of a negative length');
        }
        this.#left -= 1;
        if (this.#left === 0) this.#field = 'resultFormats';
        return;
      case 'resultFormats':
        this.#left = number;
        this.#field = number === 0 ? 'end' : 'resultFormat';
        return;
      case 'resultFormat':
        this.resultFormats.push(number > 0x7fff ? number - 0x10000 : number);
        this.#left -= 1;
        if (this.#left === 0) this.#field = 'end';
    }
  }
}
