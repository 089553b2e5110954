import { randomBytes } from 'node:crypto';
import { HoopError } from '../errors.ts';
import type { PromptWords } from '../recording/formats/prompt.ts';

/** Bytes that are read at all: the whole must be in memory to be digested. */
export const MAX_PROMPT_INPUT_BYTES = 16 << 20;

/** @param words what is said, with an id and a time that are made here */
export function newPrompt(
  words: Pick<PromptWords, 'source' | 'text' | 'parent' | 'whole'>,
): PromptWords {
  return { ...words, id: `p${randomBytes(8).toString('hex')}`, sentMs: Date.now() };
}

export function promptTooLong(): HoopError {
  return new HoopError('HOOP_TOO_LARGE', 'prompt is too long', {
    detail: `It has more than ${MAX_PROMPT_INPUT_BYTES >> 20} MiB.`,
  });
}
