/**
 * The prompts of one session, from the client's lines on stream 0. The last one received is in
 * force; which one that is comes from the order of the recording and from nothing that the client
 * says, so that a false id or time can at most confuse the client's own story.
 */
import { ProtocolError } from '../../errors.ts';
import {
  MAX_PROMPT_LINE_BYTES,
  type PromptLine,
  PromptLineSchema,
} from '../../recording/formats/prompt.ts';

const NEWLINE = 0x0a;

export class SessionPrompts {
  readonly #redact: (text: string) => string;
  #rest = Buffer.alloc(0);
  readonly #ids = new Set<string>();
  #current: PromptLine | undefined;

  /**
   * @param redact for what is shown to people: a client takes secrets out before it sends a prompt,
   *   and it is a client that says so
   */
  constructor(redact: (text: string) => string = (text) => text) {
    this.#redact = redact;
  }

  /** The one in force, as it is shown; the recording has what was sent. */
  get current(): PromptLine | undefined {
    return this.#current;
  }

  /**
   * Bytes of stream 0 from the client, recorded already.
   * @returns whether another prompt is in force now
   * @throws ProtocolError for a prompt that is none, or whose id was there before: what comes next
   *   would be attributed to another one
   */
  received(bytes: Uint8Array): boolean {
    const before = this.#current;
    let buffer = Buffer.concat([this.#rest, bytes]);
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      this.#line(buffer.subarray(0, end));
      buffer = buffer.subarray(end + 1);
    }
    if (buffer.length > MAX_PROMPT_LINE_BYTES) {
      throw new ProtocolError('a line of the client on stream 0 is too long');
    }
    // A copy: the message that it is part of must not be kept.
    this.#rest = Buffer.from(buffer);
    return this.#current !== before;
  }

  #line(bytes: Buffer): void {
    if (bytes.length > MAX_PROMPT_LINE_BYTES) {
      throw new ProtocolError('a line of the client on stream 0 is too long');
    }
    const value = parseLine(bytes);
    if (!isPrompt(value)) {
      // Of a later version, or nonsense: it is recorded, and nothing rests on it.
      return;
    }
    const prompt = PromptLineSchema.safeParse(value).data;
    if (prompt === undefined) {
      throw new ProtocolError('a prompt of the client cannot be understood');
    }
    if (this.#ids.has(prompt.id)) {
      throw new ProtocolError('a prompt of the client has the ID of another one');
    }
    this.#ids.add(prompt.id);
    this.#current = { ...prompt, text: this.#redact(prompt.text) };
  }
}

function parseLine(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isPrompt(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'prompt';
}
