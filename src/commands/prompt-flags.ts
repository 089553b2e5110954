/** `--prompt TEXT` and `--prompt-file F`, where a command takes them. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoopError } from '../errors.ts';
import type { PromptWords } from '../recording/prompt.ts';
import { MAX_PROMPT_INPUT_BYTES, newPrompt, promptTooLong } from '../tunnel/new-prompt.ts';
import type { Io } from './io.ts';

export interface PromptFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
}

/** @throws HoopError HOOP_USAGE, HOOP_TOO_LARGE; what the system says about the file */
export async function promptFromFlags(
  io: Pick<Io, 'cwd'>,
  { prompt, promptFile }: PromptFlags,
): Promise<PromptWords | undefined> {
  if (prompt !== undefined && promptFile !== undefined) {
    throw new HoopError('HOOP_USAGE', 'options --prompt and --prompt-file exclude each other');
  }
  if (prompt !== undefined) {
    return newPrompt({ source: 'flag', text: prompt });
  }
  if (promptFile === undefined) {
    return undefined;
  }
  return newPrompt({ source: 'file', text: await readText(resolve(io.cwd, promptFile)) });
}

/** Bytes that are no UTF-8 become U+FFFD: a prompt that looks strange is better than none. */
async function readText(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const parts: Buffer[] = [];
    let length = 0;
    // Not by its size: it may be a pipe.
    for await (const part of file.createReadStream({ autoClose: false })) {
      const bytes: unknown = part;
      if (!Buffer.isBuffer(bytes)) {
        throw new TypeError('text where bytes were asked for');
      }
      parts.push(bytes);
      length += bytes.length;
      if (length > MAX_PROMPT_INPUT_BYTES) {
        throw promptTooLong();
      }
    }
    return Buffer.concat(parts).toString('utf8');
  } finally {
    await file.close();
  }
}
