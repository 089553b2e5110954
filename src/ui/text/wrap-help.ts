import { textWidth } from './text-width.ts';
import { wrapWords } from './wrap-words.ts';

/**
 * Help as it is printed: a paragraph with a line that is too wide is filled anew. Lines that begin
 * with a space (options, examples) are as they were written.
 */
export function wrapHelp(text: string, width: number): string {
  const lines: string[] = [];
  let paragraph: string[] = [];
  const flush = (): void => {
    const isWide = paragraph.some((line) => textWidth(line) > width);
    const filled = () => wrapWords(paragraph.join(' '), width, { first: '', rest: '' });
    lines.push(...(isWide ? filled() : paragraph));
    paragraph = [];
  };
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) {
      paragraph.push(line);
    } else {
      flush();
      lines.push(line);
    }
  }
  flush();
  return lines.join('\n');
}
