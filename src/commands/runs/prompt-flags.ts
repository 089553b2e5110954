/** `--prompt TEXT` and `--prompt-file F`, where a command takes them. */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoopError } from '../../errors.ts';
import type { PromptWords } from '../../recording/formats/prompt.ts';
import { contextStatus, isInsideRun } from '../../run/context-client.ts';
import type { StatusReply } from '../../run/context-messages.ts';
import { newPrompt } from '../../tunnel/new-prompt.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { readPrompt } from './read-prompt.ts';

export interface PromptFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
}

type OuterPrompt = NonNullable<StatusReply['prompt']>;

/**
 * From the flags; inside a run it stands under the prompt in force outside, or is
 * that one where none is given.
 * @throws HoopError HOOP_USAGE, HOOP_TOO_LARGE; what the system says about the file
 */
export async function promptInForce(
  io: Pick<Io, 'cwd' | 'env' | 'signal' | 'note'>,
  flags: PromptFlags,
): Promise<PromptWords | undefined> {
  const own = await promptFromFlags(io, flags);
  if (!isInsideRun(io.env)) {
    return own;
  }
  let outer: OuterPrompt | undefined;
  try {
    outer = (await contextStatus(io.env, io.signal)).prompt;
  } catch (error) {
    io.signal.throwIfAborted();
    const why = error instanceof HoopError ? error.message : String(error);
    io.note(`the prompt of the surrounding run is not known: ${plain(why)}`);
  }
  if (outer === undefined) {
    return own;
  }
  return own === undefined
    ? newPrompt({ ...outerWords(outer), parent: outer.id })
    : { ...own, parent: outer.id };
}

/** As far as it was told: of a long prompt that is the beginning, and what tells it from others. */
function outerWords({
  source,
  text,
  bytes,
  sha256,
}: OuterPrompt): Omit<PromptWords, 'id' | 'sentMs'> {
  return { source, text, ...(Buffer.byteLength(text) < bytes ? { whole: { bytes, sha256 } } : {}) };
}

async function promptFromFlags(
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

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new HoopError('HOOP_USAGE', `cannot read the prompt in "${path}"`, {
      hint: 'Name a file that exists and that you may read, or give the text with --prompt.',
      cause,
    });
  }
}

async function readText(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    // Not by its size: it may be a pipe.
    return await readPrompt(file.createReadStream({ autoClose: false }));
  } finally {
    await file.close();
  }
}
