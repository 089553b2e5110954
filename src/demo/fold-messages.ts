/** psql breaks no lines: its messages are folded for the screen, under their own label. */
import { wrapWords } from '../ui/wrap-words.ts';

const MESSAGE = /^((?:ERROR|WARNING|NOTICE|DETAIL|HINT): +)(.*)$/gm;

/** @param width columns; undefined: nothing is folded. Tables and all else stay as they are. */
export function foldMessages(text: string, width: number | undefined): string {
  return text.replace(MESSAGE, (_line, label: string, message: string) =>
    wrapWords(message, width, { first: label, rest: ' '.repeat(label.length) }).join('\n'),
  );
}
