import { isUtf8 } from 'node:buffer';

/**
 * bytea within something else: in rows, arrays, JSON and text it stands as `\x` and two hexadecimal
 * digits for each byte. By itself, as a value of that type, it is taken apart by its type.
 */
export interface HexRun {
  /** Of UTF-8 its text, else a character for each byte. */
  readonly text: string;
  /** Where the digits of the character at this offset of `text` stand. */
  readonly placeOf: (offset: number) => number;
}

/** With the shortest that any detector looks for: `a@b.co`. */
const RUN = /\\x((?:[0-9a-f]{2}){6,})/gi;

export function hexRuns(text: string): readonly HexRun[] {
  if (!text.includes('\\')) return [];
  return Array.from(text.matchAll(RUN), ({ index, 1: digits = '' }) => runOf(digits, index + 2));
}

function runOf(digits: string, first: number): HexRun {
  const bytes = Buffer.from(digits, 'hex');
  const text = isUtf8(bytes) ? bytes.toString('utf8') : bytes.toString('latin1');
  if (text.length === bytes.length) return { text, placeOf: (offset) => first + 2 * offset };
  let places: Uint32Array | undefined;
  const placeOf = (offset: number): number => {
    places ??= bytesBefore(text);
    return first + 2 * (places[offset] ?? 0);
  };
  return { text, placeOf };
}

/** For each offset of a text, the same place in its UTF-8. */
function bytesBefore(text: string): Uint32Array {
  const places = new Uint32Array(text.length + 1);
  let at = 0;
  for (let offset = 0; offset < text.length; offset += 1) {
    places[offset] = at;
    const code = text.charCodeAt(offset);
    // The four bytes of a surrogate pair are two and two.
    const isHalf = code >= 0xd800 && code < 0xe000;
    at += code < 0x80 ? 1 : code < 0x800 || isHalf ? 2 : 3;
  }
  places[text.length] = at;
  return places;
}
