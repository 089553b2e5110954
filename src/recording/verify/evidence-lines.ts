import * as z from 'zod';
import { MAX_PROMPT_LINE_BYTES, PromptLineSchema } from '../formats/prompt.ts';
import { APPROVAL_OUTCOMES, type Direction, DOWN, END_REASONS } from '../formats/types.ts';

/** Prompts are the longest; a longer line is not for showing. */
const MAX_LINE_BYTES = MAX_PROMPT_LINE_BYTES;
const NEWLINE = 0x0a;

/**
 * One direction of stream 0 as lines, for showing. What cannot be read is left out: the recording
 * has it anyway, and a client may write there what it likes. So are the gateway's lines where they
 * come from the client: it must not say that its statement was approved.
 */
export class EvidenceLines {
  readonly #direction: Direction;
  #rest = Buffer.alloc(0);

  constructor(direction: Direction = DOWN) {
    this.#direction = direction;
  }

  push(bytes: Uint8Array): EvidenceLine[] {
    const lines: EvidenceLine[] = [];
    let buffer = Buffer.concat([this.#rest, bytes]);
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      const line = parseLine(buffer.subarray(0, end).toString('utf8'));
      if (line && (line.type === 'prompt') === (this.#direction !== DOWN)) {
        lines.push(line);
      }
      buffer = buffer.subarray(end + 1);
    }
    this.#rest = buffer.length > MAX_LINE_BYTES ? Buffer.alloc(0) : buffer;
    return lines;
  }
}

const text = z.string();
/** A member that is always there for TypeScript, and left out of the JSON when undefined. */
const maybe = text.optional().transform((value) => value);
const Line = z.discriminatedUnion('type', [
  z.object({ type: z.literal('reason'), text }),
  /** The only one that comes from the client. */
  PromptLineSchema,
  z.object({
    type: z.literal('denied'),
    stream: z.number(),
    at: z.number(),
    code: text,
    message: text,
    detail: maybe,
    hint: maybe,
    rule: maybe,
  }),
  z.object({
    type: z.literal('access'),
    change: z.enum(['given', 'ended']),
    grant: text,
    policy: text,
    message: text,
  }),
  z.object({
    type: z.literal('held'),
    stream: z.number(),
    at: z.number(),
    request: text,
    message: text,
    /** Who may approve, in words. */
    approvers: text,
    waits: z.boolean(),
    /** RFC 3339. */
    until: text,
  }),
  z.object({
    type: z.literal('decided'),
    stream: z.number(),
    at: z.number(),
    request: text,
    outcome: z.enum(APPROVAL_OUTCOMES),
    /** Names of those who approved, or of who denied. */
    by: z.array(text).readonly(),
    message: maybe,
  }),
  z.object({ type: z.literal('closing'), reason: z.enum(END_REASONS), message: text }),
]);
/** A message on stream 0: JSON, one line each, agreed by both sides byte for byte. */
export type EvidenceLine = z.infer<typeof Line>;

function parseLine(line: string): EvidenceLine | undefined {
  try {
    return Line.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
