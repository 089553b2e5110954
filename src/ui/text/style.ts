/** Colour for our own words. Never the only carrier of a meaning, never around remote escapes. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/** How a state is shown: a sign, and a word for it, so that the colour never stands alone. */
export interface Mark {
  readonly sign: string;
  readonly word: string;
  readonly tone: keyof Style;
}

/** SGR codes: on, off. https://www.xfree86.org/current/ctlseqs.html */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const satisfies Record<keyof Style, readonly [number, number]>;

/** @param color from `io.color`: whether the stream that this text goes to takes escape codes. */
export function styleFor(color: boolean): Style {
  const paint = (name: keyof Style) => (text: string) =>
    color ? `\x1b[${CODES[name][0]}m${text}\x1b[${CODES[name][1]}m` : text;
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
  };
}
