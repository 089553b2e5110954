import { MAX_PROMPT_INPUT_BYTES, promptTooLong } from '../../tunnel/new-prompt.ts';

/**
 * A prompt from a file or standard input. Bytes that are no UTF-8 become U+FFFD: a prompt that looks
 * strange is better than none.
 * @throws HoopError HOOP_TOO_LARGE
 */
export async function readPrompt(input: AsyncIterable<unknown>): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of input) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    if (!Buffer.isBuffer(bytes)) {
      throw new TypeError('neither text nor bytes');
    }
    length += bytes.length;
    if (length > MAX_PROMPT_INPUT_BYTES) {
      throw promptTooLong();
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
