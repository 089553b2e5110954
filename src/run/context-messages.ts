/** What the context endpoint of a run and its clients say to each other. */
import * as z from 'zod';

/** In the run's directory: some agents take variables with TOKEN in their name from their children. */
export const TOKEN_FILE = 'context.token';
export const CONTEXT_PATHS = { prompt: '/v1/prompt', status: '/v1/status' } as const;
/** Over a unix socket there is no host; this one, or `localhost`, is named. */
export const CONTEXT_HOST = 'hoop';

export const PROMPT_SOURCE = /^[a-z][a-z0-9-]{0,31}(:[a-z][a-z0-9-]{0,31})?$/;
export const PROMPT_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** What hoop itself says of where a prompt comes from; a program that names its own cannot. */
const OWN_SOURCES = ['flag', 'file', 'hook', 'limit'];

export function isOwnSource(source: string): boolean {
  return OWN_SOURCES.some((own) => source === own || source.startsWith(`${own}:`));
}

/** Body of a POST with JSON; with any other type the body is the text. */
export const PromptPost = z.strictObject({
  text: z.string(),
  source: z
    .string()
    .regex(PROMPT_SOURCE)
    .refine((source) => !isOwnSource(source))
    .default('endpoint'),
  /** Of `hoop prompt --hook`: the agent whose hook it is. As everything here, a claim of whoever sends it. */
  hook: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .optional(),
  /** Id of the prompt that it belongs to. */
  parent: z.string().regex(PROMPT_ID).optional(),
});
export type PromptPost = z.infer<typeof PromptPost>;
export type NewPromptPost = z.input<typeof PromptPost>;

export const PromptReply = z.object({
  v: z.literal(1),
  id: z.string(),
  /** UTF-8 bytes of the text. */
  bytes: z.number(),
  /** Open sessions in which the gateway has recorded it. */
  sessions: z.number(),
});
export type PromptReply = z.infer<typeof PromptReply>;

export const StatusReply = z.object({
  v: z.literal(1),
  run: z.string(),
  agent: z.string().optional(),
  targets: z.array(z.string()),
  prompt: z
    .object({
      id: z.string(),
      source: z.string(),
      /** The beginning, as much as is recorded. */
      text: z.string(),
      /** UTF-8 bytes of the whole. */
      bytes: z.number().int().nonnegative(),
      /** Of the whole, hex. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      sentMs: z.number(),
    })
    .optional(),
});
export type StatusReply = z.infer<typeof StatusReply>;

export const ErrorReply = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    detail: z.string().optional(),
    hint: z.string().optional(),
  }),
});
