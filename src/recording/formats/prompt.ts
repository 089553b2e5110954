/**
 * A prompt: why a person or a program wants what comes next, in its own words. A line of stream 0
 * from the client, so that both sides sign it; a claim of the client, as the reason of a session is.
 */
import { hash } from 'node:crypto';
import * as z from 'zod';

/** UTF-8 bytes of one prompt that are recorded; of a longer one the beginning, and digest and length of all. */
export const MAX_PROMPT_BYTES = 32 * 1024;
/**
 * Bytes of stream 0 from the client, in a whole session. It is recorded at once and knows no
 * backpressure (the answers to cuts come on the same channel), so that without a limit a client
 * could fill disk and memory of the gateway.
 */
export const MAX_CLIENT_EVIDENCE_BYTES = 4 << 20;
/** What a message counts for beside its bytes: a frame, its place in the index. */
export const EVIDENCE_MESSAGE_BYTES = 256;
/** Control characters take six bytes each as JSON; beside the text there is little. */
export const MAX_PROMPT_LINE_BYTES = 6 * MAX_PROMPT_BYTES + 1024;

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const SOURCE = /^[a-z][a-z0-9-]{0,31}(:[a-z][a-z0-9-]{0,31})?$/;
const SHA256 = /^[0-9a-f]{64}$/;

const Line = z.object({
  type: z.literal('prompt'),
  /** Once in a session. */
  id: z.string().regex(ID),
  source: z.string().regex(SOURCE),
  /** The beginning, where the whole is longer than what is recorded. */
  text: z.string(),
  /** UTF-8 bytes of the whole. */
  bytes: z.number().int().nonnegative(),
  /** Of the whole, hex. */
  sha256: z.string().regex(SHA256),
  /** Wall clock of the client. */
  sentMs: z.number().int().nonnegative(),
  parent: z.string().regex(ID).optional(),
});
export type PromptLine = z.infer<typeof Line>;
export const PromptLineSchema = Line.refine(fits);

export interface PromptWords {
  readonly id: string;
  /** `flag`, `file`, `command`, `endpoint`, `hook:claude-code`. */
  readonly source: string;
  readonly text: string;
  /** Wall clock of the client. */
  readonly sentMs: number;
  /** Id of the prompt that this one belongs to: of the run around, of the agent that started this one. */
  readonly parent?: string | undefined;
  /** Of what `text` is only the beginning: where no more of it has come here. */
  readonly whole?: Pick<PromptLine, 'bytes' | 'sha256'> | undefined;
}

const LIMIT = 'limit';

/**
 * What a session says last: there were further prompts and no room for them. Else the one before
 * would seem to be in force. Clients make no ids like this one.
 */
export function limitLine(sentMs: number): PromptLine {
  return promptLine({ id: LIMIT, source: LIMIT, text: '', sentMs });
}

export function isLimit({ id, bytes }: Pick<PromptLine, 'id' | 'bytes'>): boolean {
  return id === LIMIT && bytes === 0;
}

/** @param keptBytes of the text at most; a session has a budget */
export function promptLine(words: PromptWords, keptBytes = MAX_PROMPT_BYTES): PromptLine {
  const { id, source, sentMs, parent } = words;
  // Half a surrogate pair has no UTF-8, and so no digest that others could check.
  const whole = words.text.toWellFormed();
  return {
    type: 'prompt',
    id,
    source,
    text: beginningOf(whole, Math.min(keptBytes, MAX_PROMPT_BYTES)),
    ...(words.whole ?? { bytes: Buffer.byteLength(whole), sha256: hash('sha256', whole) }),
    sentMs,
    ...(parent === undefined ? {} : { parent }),
  };
}

/** The first characters that fit. */
function beginningOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) {
    return text;
  }
  let end = maxBytes;
  // Not between the bytes of one character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) {
    end -= 1;
  }
  return bytes.subarray(0, end).toString();
}

export function isCut({ text, bytes }: Pick<PromptLine, 'text' | 'bytes'>): boolean {
  return Buffer.byteLength(text) < bytes;
}

/** What is there must be what was digested, as far as that can be seen. */
function fits({ text, bytes, sha256 }: PromptLine): boolean {
  const kept = Buffer.byteLength(text);
  if (kept > MAX_PROMPT_BYTES || kept > bytes || !text.isWellFormed()) {
    return false;
  }
  return kept < bytes || hash('sha256', text) === sha256;
}
