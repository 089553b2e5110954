/** Prose on a terminal: broken between words, and never inside a command that is to be copied. */
import { textWidth } from './text-width.ts';

/** Narrower than this, wrapping helps nobody. */
const MIN_WIDTH = 30;

/**
 * @param text one line, printable
 * @param width columns of the terminal; undefined: no wrapping
 * @param indent before the first line and before the others; counted in `width`
 */
export function wrapWords(
  text: string,
  width: number | undefined,
  indent: { readonly first: string; readonly rest: string },
): string[] {
  if (width === undefined || width < MIN_WIDTH || textWidth(indent.first + text) <= width) {
    return [indent.first + text];
  }
  const lines: string[] = [];
  let line = indent.first;
  let isFresh = true;
  for (const word of unbroken(text)) {
    const longer = isFresh ? line + word : `${line} ${word}`;
    if (isFresh || textWidth(longer) <= width) {
      line = longer;
    } else {
      lines.push(line);
      line = indent.rest + word;
    }
    isFresh = false;
  }
  return [...lines, line];
}

/** Words; what stands in backticks or quotes is one, and so is what is glued to it. */
function unbroken(text: string): string[] {
  return text.match(/(?:`[^`]*`|"[^"]*"|\S)+/g) ?? [];
}
