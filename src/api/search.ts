/**
 * Search over recorded sessions: who did what, where, when. Sent as POST, because the text that is
 * looked for may be a secret, and addresses end up in the logs of whatever stands in between.
 */
import * as z from 'zod';
import { isSessionId } from '../session-id.ts';
import { APPROVAL_STATES } from './approvals.ts';
import { API_VERSION } from './http.ts';
import { SESSION_OF } from './sessions.ts';

export const SEARCH_PATH = '/v1/search';

export const MAX_SEARCH_TEXT = 500;
/** Of one request; whoever wants more goes on from `next`. */
export const MAX_SEARCH_HITS = 200;
/** Unknown ones are counted up to here. */
export const MAX_SEARCH_UNKNOWN = 10_000;
/** Far more than ours are. */
const MAX_CURSOR = 1000;

const instant = z.number().int().min(0).max(8.64e15);

export const SearchRequest = z.object({
  v: z.literal(API_VERSION),
  /** Without it only the index is asked, and no recording is opened. White space and case do not count. */
  text: z.string().max(MAX_SEARCH_TEXT).optional(),
  /**
   * Name of the person or workload that a session belongs to, or the part of it before `@`; also of
   * the agent that acted in it, and of the person for whom a workload says it works.
   */
  user: z.string().max(200).optional(),
  target: z.string().max(200).optional(),
  /** Name of an agent of the policy. */
  agent: z.string().max(200).optional(),
  /** Name of a run's program, which is a claim of the client. */
  program: z.string().max(200).optional(),
  /** A relation, a column (`schema.table.column`), a program, a path, a `host:port`. */
  touches: z.string().max(2000).optional(),
  /** Only what returned that column, or values of that class, in clear. Without a text. */
  seenClear: z.boolean().optional(),
  /** Only what returned values of this detector class, masked or in clear. Without a text. */
  class: z.string().max(100).optional(),
  /** Milliseconds since the epoch, of the statement. */
  sinceMs: instant.optional(),
  untilMs: instant.optional(),
  /** Only what the policy or a guard refused. */
  denied: z.boolean().optional(),
  limit: z.number().int().min(1).max(MAX_SEARCH_HITS),
  /** `next` of the reply before. It says where to go on, and gives no right to anything. */
  cursor: z.string().max(MAX_CURSOR).optional(),
});
export type SearchRequest = z.infer<typeof SearchRequest>;

const Excerpt = z.object({
  /** `parameter`: the text stands in a value that was bound, not in the statement. */
  in: z.enum(['text', 'parameter']),
  before: z.string(),
  match: z.string(),
  after: z.string(),
});

export const SearchHit = z.object({
  session: z.string().refine(isSessionId),
  ...SESSION_OF,
  /** CONNECTION.STATEMENT, as `hoop sessions why` takes it; absent: it was never decided. */
  statement: z.string().optional(),
  /** In the replay of the session; only when its recording was read. */
  number: z.number().optional(),
  /** RFC 3339. */
  time: z.string(),
  /** `none`: nothing was decided about it. */
  effect: z.enum(['allow', 'approve', 'refuse', 'fail', 'none']),
  code: z.string().optional(),
  /** With `approve`: what became of the request, and who decided. Absent: it is no longer known. */
  approval: z
    .object({ request: z.string(), state: z.enum(APPROVAL_STATES), by: z.array(z.string()) })
    .optional(),
  verbs: z.array(z.string()),
  touches: z.array(z.string()),
  excerpt: Excerpt.optional(),
});
export type SearchHit = z.infer<typeof SearchHit>;

/** Newest session first by when it ended, live ones before all; in a session the newest first. */
export const SearchReply = z.object({
  v: z.literal(API_VERSION),
  hits: z.array(SearchHit),
  /** Sessions that this request has looked at: the index, or at least a part of the recording. */
  sessions: z.number(),
  /** Sessions that could not be read, or not to the end. */
  unread: z.array(
    z.object({
      session: z.string(),
      /**
       * `erased`: the keys to read it were destroyed. `gone`: the gateway no longer has its files.
       * `other node`: another node keeps it. `lost`: the gateway lost its end.
       */
      why: z.enum(['erased', 'gone', 'other node', 'damaged', 'too large', 'lost']),
      /** With `other node`: its ID, and its address where it has one. */
      node: z.string().optional(),
    }),
  ),
  /**
   * Statements, of all that may be seen, of which the index cannot say whether they did what is asked
   * for; up to MAX_SEARCH_UNKNOWN. Only for `touches` and `class` without a text, in the first reply.
   */
  unknown: z.number().optional(),
  /** How far back it has come, RFC 3339; absent: no session was left. */
  reached: z.string().optional(),
  /** `agent` was asked for, and the policy in force has none of that name. */
  noSuchAgent: z.literal(true).optional(),
  /** There may be more: go on from here. */
  next: z.string().optional(),
});
export type SearchReply = z.infer<typeof SearchReply>;
