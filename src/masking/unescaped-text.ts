/**
 * The text as whoever reads it will see it: without the escapes of URLs, strings, XML and bytea.
 * In `%224539…%22` the digits of the escape stand before those of the card, and `ann%40example.com`
 * has no @. One level is taken off; each character keeps the place that it came from.
 */
export interface UnescapedText {
  readonly text: string;
  /** Where the character at this offset of `text` begins in the escaped text. */
  readonly placeOf: (offset: number) => number;
}

/** `%22`, `%c2%a0`, `\u0022`, `\x22`, `\042`, `\351`, `\n`, `&#34;`, `&#x22;`, `&quot;`. */
const ESCAPE =
  /%c2%a0|%[0-7][0-9a-f]|\\(?:u[0-9a-f]{4}|x[0-7][0-9a-f]|[0-3][0-7]{2}|[nrtbfv"'/\\])|&(?:#[0-9]{1,5}|#x[0-9a-f]{1,4}|nbsp|amp|quot|apos|lt|gt);/gi;

const NAMED: Readonly<Record<string, string>> = {
  '\\n': '\n',
  '\\r': '\r',
  '\\t': '\t',
  '\\b': '\b',
  '\\f': '\f',
  '\\v': '\v',
  '%c2%a0': '\u00a0',
  '&nbsp;': '\u00a0',
  '&amp;': '&',
  '&quot;': '"',
  '&apos;': "'",
  '&lt;': '<',
  '&gt;': '>',
};

/** @returns undefined: there is no escape in it. */
export function unescapedText(escaped: string): UnescapedText | undefined {
  if (!/[%\\&]/.test(escaped)) return undefined;
  /** Where what follows an escape begins, in both texts. */
  const ends: { readonly offset: number; readonly place: number }[] = [{ offset: 0, place: 0 }];
  let text = '';
  let from = 0;
  for (const { 0: sequence, index } of escaped.matchAll(ESCAPE)) {
    text += escaped.slice(from, index) + characterOf(sequence.toLowerCase());
    from = index + sequence.length;
    ends.push({ offset: text.length, place: from });
  }
  if (from === 0) return undefined;
  // Halves: a text may hold a hundred thousand escapes, and as many hits that ask for their place.
  const placeOf = (offset: number): number => {
    let low = 0;
    let high = ends.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((ends[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle;
    }
    const last = ends[low];
    return (last?.place ?? 0) + offset - (last?.offset ?? 0);
  };
  return { text: text + escaped.slice(from), placeOf };
}

/** One UTF-16 unit, so that places stay with their characters. */
function characterOf(sequence: string): string {
  const named = NAMED[sequence];
  if (named !== undefined) return named;
  const code = codeOf(sequence);
  return Number.isNaN(code) ? sequence.slice(1) : String.fromCharCode(code);
}

function codeOf(sequence: string): number {
  if (sequence.startsWith('&#x')) return Number.parseInt(sequence.slice(3), 16);
  if (sequence.startsWith('&#')) return Number.parseInt(sequence.slice(2), 10);
  if (sequence.startsWith('%')) return Number.parseInt(sequence.slice(1), 16);
  if (/^\\[ux]/.test(sequence)) return Number.parseInt(sequence.slice(2), 16);
  return Number.parseInt(sequence.slice(1), 8);
}
