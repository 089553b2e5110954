/**
 * How many values the text form of an array holds: https://www.postgresql.org/docs/current/arrays.html
 * Only what every version reads in the same way is counted. A value that could be read as more of them
 * than were counted would be looked up for nothing.
 */

/** Nested deeper the server takes none (MAXDIM). */
const MAX_DIMENSIONS = 6;
/** A value without quotes: nothing that has a meaning of its own, and no white space at its ends. */
const BARE = /[^\s{}",\\]+(?:[ \t]+[^\s{}",\\]+)*/y;
const QUOTED = /"(?:[^"\\]|\\.)*"/sy;
const SPACE = /[ \t\n\r\v\f]*/y;

/** @returns undefined where it is not certain. */
export function arrayElementCount(text: string): number | undefined {
  const reader = new ArrayReader(text);
  const count = reader.array(1);
  return count !== undefined && reader.isAtEnd ? count : undefined;
}

class ArrayReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    this.#take(SPACE);
    return this.#at === this.#text.length;
  }

  array(depth: number): number | undefined {
    if (depth > MAX_DIMENSIONS || !this.#takes('{')) return undefined;
    if (this.#takes('}')) return depth === 1 ? 0 : undefined;
    let count = 0;
    for (;;) {
      const inner = this.#isAt('{') ? this.array(depth + 1) : this.#value();
      if (inner === undefined) return undefined;
      count += inner;
      if (this.#takes('}')) return count;
      if (!this.#takes(',')) return undefined;
    }
  }

  #value(): 1 | undefined {
    this.#take(SPACE);
    return this.#take(QUOTED) || this.#take(BARE) ? 1 : undefined;
  }

  #isAt(character: string): boolean {
    this.#take(SPACE);
    return this.#text[this.#at] === character;
  }

  #takes(character: string): boolean {
    const isThere = this.#isAt(character);
    if (isThere) this.#at += 1;
    return isThere;
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found !== '';
  }
}
