/** Just-in-time access over HTTP: what may be asked for, and what was given for a while. */
import * as z from 'zod';
import { freeText } from './free-text.ts';
import { API_VERSION } from './http.ts';

/** `:id` is that of the request, which the grant keeps. */
export const ACCESS_PATHS = {
  access: '/v1/access',
  grant: (id: string) => `/v1/access/${id}`,
} as const;

const MAX_ACCESS_REASON = 500;
/** No policy gives a grant for longer than 7 days; what is longer than a year is no duration. */
const MAX_SECONDS = 366 * 86_400;

/** Answered with the approval that now waits (ApprovalReply). */
export const AccessRequest = z.object({
  v: z.literal(API_VERSION),
  target: z.string().min(1).max(200),
  /** Name of the requestable policy; absent: the only one there is for this target. */
  policy: z.string().min(1).max(200).optional(),
  durationSeconds: z.number().int().positive().max(MAX_SECONDS),
  /** Approvers see it, and it is recorded. */
  reason: freeText(MAX_ACCESS_REASON),
});
export type AccessRequest = z.infer<typeof AccessRequest>;

/** What one may ask for. */
export const Requestable = z.object({
  target: z.string(),
  policy: z.string(),
  description: z.string().optional(),
  maxDurationSeconds: z.number(),
  approvers: z.array(z.string()),
  count: z.number(),
  /** What it gives, in words. */
  rules: z.array(z.string()),
});
export type Requestable = z.infer<typeof Requestable>;

const Grant = z.object({
  id: z.string(),
  target: z.string(),
  policy: z.string(),
  holder: z.string(),
  /** It is the caller's own. */
  mine: z.boolean(),
  reason: z.string(),
  approvedBy: z.array(z.string()),
  grantedAt: z.string(),
  expiresAt: z.string(),
  state: z.enum(['active', 'expired', 'revoked', 'policy']),
  endedAt: z.string().optional(),
  /** Who revoked it. */
  endedBy: z.string().optional(),
});

/** Grants newest first: one's own; approvers and auditors see everybody's. */
export const AccessReply = z.object({
  v: z.literal(API_VERSION),
  requestable: z.array(Requestable),
  grants: z.array(Grant),
});
export type AccessReply = z.infer<typeof AccessReply>;
