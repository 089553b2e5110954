/**
 * bytea within something else: in rows, arrays, JSON and text it stands as `\x` and two hexadecimal
 * digits for each byte. By itself, as a value of that type, it is taken apart by its type.
 */
export interface HexRun {
  /** Where its first digit stands. */
  readonly start: number;
  /** A character for each byte. */
  readonly text: string;
}

/** With the shortest that any detector looks for: `a@b.co`. */
const RUN = /\\x((?:[0-9a-f]{2}){6,})/gi;

export function hexRuns(text: string): readonly HexRun[] {
  if (!text.includes('\\')) return [];
  return Array.from(text.matchAll(RUN), ({ index, 1: digits = '' }) => ({
    start: index + 2,
    text: Buffer.from(digits, 'hex').toString('latin1'),
  }));
}
