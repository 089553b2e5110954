/**
 * A text by the bytes of its UTF-8, as the parser counts. One text can have tens of thousands of
 * statements: it is encoded once for all of them, or not at all where a byte is a character.
 */
import { isAscii } from 'node:buffer';
import type { TextRange } from '../writes/copy-query.ts';

export class TextBytes {
  readonly text: string;
  readonly #bytes: Buffer;
  readonly #isAscii: boolean;

  constructor(text: string) {
    this.text = text;
    this.#bytes = Buffer.from(text);
    this.#isAscii = isAscii(this.#bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  slice({ start, end }: TextRange): string {
    return this.#isAscii ? this.text.slice(start, end) : this.#bytes.toString('utf8', start, end);
  }

  /** One character per byte, so that offsets are those of the parser. */
  latin1({ start, end }: TextRange): string {
    return this.#bytes.toString('latin1', start, end);
  }
}
