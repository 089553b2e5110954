/** Finds where a text stops being JSON; V8 says it for some errors only. */

export interface JsonPlace {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/**
 * @param text no JSON
 * @returns the first character that cannot be there; at the end: the text is cut off
 */
export function findJsonError(text: string): JsonPlace {
  // A longer part of the text cannot mend an error in a shorter one.
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (mayGoOn(text.slice(0, middle))) {
      good = middle;
    } else {
      bad = middle;
    }
  }
  const before = text.slice(0, good).split('\n');
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** Whether only the rest is missing. */
function mayGoOn(part: string): boolean {
  try {
    JSON.parse(part);
    return true;
  } catch (error) {
    const words = error instanceof Error ? error.message : '';
    const position = /at position (\d+)/.exec(words)?.[1];
    return (
      words.includes('end of JSON input') ||
      words.startsWith('Unterminated') ||
      Number(position) === part.length
    );
  }
}
