/** A recorded prompt as lines of text. It is a claim, and always shown as one. */
import { isLimit } from '../recording/formats/prompt.ts';
import type { Prompt } from '../replay/timeline.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import { plain, plainLines } from './text/printable.ts';
import { wrap } from './text/text-width.ts';
import { byteCount } from './text/times.ts';

/** For the statements after the last prompt that had room. */
export const NO_ROOM = 'no prompt recorded, limit reached: a session has no room for more';

/** Where our own client takes prompts from, as one types it; other names are shown as they are. */
const SOURCES: ReadonlyMap<string, string> = new Map([
  ['flag', '--prompt'],
  ['file', '--prompt-file'],
  ['command', '`hoop prompt`'],
  ['endpoint', 'HOOP_CONTEXT_URL'],
]);

export function promptSource(source: string): string {
  return SOURCES.get(source) ?? plain(source);
}

/** E.g. `prompt p3 from hook:claude-code, as the client says`. */
export function promptHead(prompt: Prompt): string {
  if (isLimit(prompt)) {
    return NO_ROOM;
  }
  const { id, source, parent } = prompt;
  const under = parent === undefined ? '' : `, under ${plain(parent)}`;
  return `prompt ${plain(id)} from ${promptSource(source)}${under}, as the client says`;
}

export function promptLines(prompt: Prompt, { style, width }: LineOptions): string[] {
  if (isLimit(prompt)) {
    return [];
  }
  const text = plainLines(prompt.text.trimEnd()) || '(empty)';
  const lines = text
    .split('\n')
    .flatMap((line) => (width === undefined ? [line] : wrap(line, width)));
  const { isCut, bytes, sha256 } = prompt;
  const kept = Buffer.byteLength(prompt.text);
  const missing = `… the prompt has ${byteCount(bytes)}, of which ${byteCount(kept)} are recorded; SHA-256 ${sha256}`;
  return [...lines, ...(isCut ? [style.dim(missing)] : [])];
}
