/** Blocks over HTTP: who is kept out at once, before any policy commit. */
import * as z from 'zod';
import { freeLine, freeText } from './free-text.ts';
import { API_VERSION } from './http.ts';

export const BLOCK_PATHS = {
  blocks: '/v1/blocks',
  block: (id: string) => `/v1/blocks/${id}`,
} as const;

const MAX_REASON = 500;
const MAX_WHO = 320;
const MAX_SECONDS = 366 * 86_400;

export const BlockRequest = z.object({
  v: z.literal(API_VERSION),
  /** E-mail address, name or subject of a login, or name of an agent; `user:` and `agent:` say which. */
  who: freeLine(MAX_WHO),
  /** Name; absent: everything. */
  target: z.string().min(1).max(200).optional(),
  /** Absent: until it is lifted. */
  durationSeconds: z.number().int().positive().max(MAX_SECONDS).optional(),
  /** The blocked person reads it, and it is recorded. */
  reason: freeText(MAX_REASON),
});
export type BlockRequest = z.infer<typeof BlockRequest>;

export const BlockView = z.object({
  id: z.string(),
  kind: z.enum(['login', 'agent']),
  who: z.string(),
  /** Logins that it was known to mean when it was made. */
  subjects: z.array(z.object({ issuer: z.string(), sub: z.string() })),
  target: z.string().optional(),
  reason: z.string(),
  blockedBy: z.string(),
  blockedAt: z.string(),
  expiresAt: z.string().optional(),
  state: z.enum(['active', 'expired', 'lifted']),
  liftedBy: z.string().optional(),
  liftedAt: z.string().optional(),
});
export type BlockView = z.infer<typeof BlockView>;

/** Newest first. */
export const BlocksReply = z.object({ v: z.literal(API_VERSION), blocks: z.array(BlockView) });
export type BlocksReply = z.infer<typeof BlocksReply>;

export const BlockReply = z.object({
  v: z.literal(API_VERSION),
  block: BlockView,
  /** What ended with it. */
  logins: z.number(),
  sessions: z.number(),
  /** false: it holds at this gateway, and is written down when the store can be reached again. */
  isKept: z.boolean().optional(),
});
export type BlockReply = z.infer<typeof BlockReply>;
