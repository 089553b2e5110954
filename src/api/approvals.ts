/**
 * Requests that wait for a person, over HTTP: held statements and commands, and requests for temporary access.
 * Texts in here are what people and programs typed: a terminal gets them through the filter.
 */
import * as z from 'zod';
import { freeText } from './free-text.ts';
import { API_VERSION } from './http.ts';
import { Requester } from './login.ts';
import { LaterFields, View } from './view.ts';

/** `:id` is an approval id. */
export const APPROVAL_PATHS = {
  approvals: '/v1/approvals',
  approval: (id: string) => `/v1/approvals/${id}`,
  decision: (id: string) => `/v1/approvals/${id}/decision`,
} as const;

/** 60 random bits in Crockford's alphabet, lower case: short enough to type, not to be guessed. */
export const APPROVAL_ID = /^[0-9abcdefghjkmnpqrstvwxyz]{12}$/;

export const APPROVAL_KINDS = ['statement', 'command', 'access'] as const;
export type ApprovalKind = (typeof APPROVAL_KINDS)[number];

/**
 * `waiting`: for votes. `approved`: can be used, once, until `usableUntil`. `used`: it was.
 * `denied`, `expired` (nobody answered, or nobody used it), `withdrawn` (by who asked: cancel,
 * disconnect, end of the session; in a run the end of the run), `void` (approved, but what it was
 * bound to has changed).
 */
export const APPROVAL_STATES = [
  'waiting',
  'approved',
  'used',
  'denied',
  'expired',
  'withdrawn',
  'void',
] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** Somebody by the immutable subject; `name` is for people and untrusted. */
const Party = z.object({ issuer: z.string(), sub: z.string(), name: z.string() });

/** One rule that asks for approval; all of them must be satisfied. */
const ApprovalNeedSchema = z.object({
  /** `<policy>/<rule>`. */
  rule: z.string(),
  groups: z.array(z.string()),
  /** Different people that must approve. */
  count: z.number().int().positive(),
  /** How many of them have, and still are in one of the groups. */
  approvedBy: z.number().int().nonnegative(),
  /**
   * Different people but who asked that are in one of the groups, as far as the gateway knows:
   * those who have logged in. Absent in lists.
   */
  known: z.number().int().nonnegative().optional(),
});

/** A parameter of Bind as the requester sent it. */
const ApprovalParameterSchema = z.object({
  /** `hex`: of the binary format. */
  format: z.enum(['text', 'hex', 'null']),
  value: z.string(),
  /** OID of the type, as far as Parse said it; 0: not said. */
  typeOid: z.number(),
});

const ApprovalEstimateSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('pending') }),
  /** `rows`: what the planner expects to be returned or changed. `plan`: text of EXPLAIN. */
  z.object({ state: z.literal('known'), rows: z.number(), plan: z.string() }),
  /** `why` is a phrase: "not estimated: …". */
  z.object({ state: z.literal('none'), why: z.string() }),
]);
export type ApprovalEstimate = z.infer<typeof ApprovalEstimateSchema>;

/** How many rows it would change, where the policy asks because of their number. */
const RowChangesPart = z.discriminatedUnion('counted', [
  /** It ran, and was rolled back. `relations`: most rows first. */
  z.object({
    counted: z.literal('trial'),
    rows: z.number().int().nonnegative(),
    relations: z.array(
      z.object({ schema: z.string(), name: z.string(), rows: z.number().int().nonnegative() }),
    ),
  }),
  /** `why` is a phrase. */
  z.object({ counted: z.literal('not counted'), why: z.string() }),
]);

/** Characters of a prompt that an approver sees; the recording has more of it. */
export const MAX_APPROVAL_PROMPT = 4000;

/** The prompt that was in force when the statement was held. */
const ApprovalPrompt = z.object({
  /** In the recording of the session. */
  id: z.string(),
  source: z.string(),
  text: z.string(),
  /** `text` is the beginning only. */
  shortened: z.boolean(),
});
export type ApprovalPrompt = z.infer<typeof ApprovalPrompt>;

/** Of whatever is held, in any protocol. */
const HELD = {
  session: z.string(),
  stream: z.number(),
  /** Offset in the up stream of the message that is held. */
  at: z.number(),
  /** What would run, to the letter; of an act that is no command what it is about. */
  text: z.string(),
  /** All that whoever decides is shown of it. The rest of the part is for programs. */
  view: View,
  later: LaterFields,
  /** In a list: `text` and `view` are the beginning, and `parameters` are left out; ask for the one. */
  shortened: z.boolean().default(false),
  /** false: `wait: no`; it failed, and runs when it is asked for again. */
  waits: z.boolean(),
  /** A claim of the client; absent where none was given. */
  prompt: ApprovalPrompt.optional(),
};

export const StatementPart = z.object({
  ...HELD,
  /** Texts of the prepared statements that an EXECUTE in `text` runs. */
  prepared: z.array(z.string()).default([]),
  /** Settings that the client has set on its connection and that say what values stand for. */
  settings: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  parameters: z.array(ApprovalParameterSchema),
  verbs: z.array(z.string()),
  relations: z.array(z.string()),
  database: z.string(),
  /** Role at the target, where it is known. */
  role: z.string().optional(),
  /** It waits inside an open transaction, so locks are held. */
  inTransaction: z.boolean(),
  estimate: ApprovalEstimateSchema,
  /** An approval covers what changes up to as many rows. */
  changes: RowChangesPart.optional(),
});
export type StatementPart = z.infer<typeof StatementPart>;

/** What somebody wants to do on a server. */
export const CommandPart = z.object({
  ...HELD,
  /** `exec`, `shell`, `sftp`, `sftp write`, … */
  verb: z.string(),
  /** Who it would be on the server. */
  user: z.string(),
  /** Programs, paths. */
  touches: z.array(z.string()),
});
export type CommandPart = z.infer<typeof CommandPart>;

export const AccessPart = z.object({
  policy: z.string(),
  durationSeconds: z.number(),
  /** What it gives, in words. */
  rules: z.array(z.string()),
});

export const Approval = z.object({
  id: z.string().regex(APPROVAL_ID),
  kind: z.enum(APPROVAL_KINDS),
  state: z.enum(APPROVAL_STATES),
  requester: Party,
  /** The named agent that acts for the requester, where one is known. */
  agent: z.string().optional(),
  /** For whom the requester works, where that is a workload: then they cannot decide about it. */
  requestedFor: Requester.optional(),
  target: z.string(),
  /** Why the requester says they need it. */
  reason: z.string().optional(),
  /** RFC 3339, like all times here. */
  createdAt: z.string(),
  /** Until then votes count. */
  waitsUntil: z.string(),
  /** Of an approved one that is used later: until then it can be. */
  usableUntil: z.string().optional(),
  endedAt: z.string().optional(),
  /** Why it ended as it did, where there is more to say than the state. */
  outcome: z.string().optional(),
  needs: z.array(ApprovalNeedSchema),
  votes: z.array(
    z.object({
      by: Party,
      decision: z.enum(['approve', 'deny']),
      reason: z.string().optional(),
      at: z.string(),
    }),
  ),
  policyCommit: z.string(),
  /** Of everything that the approval is bound to, hex. */
  binding: z.string(),
  /**
   * Of what a run has asked for and waits for in a connection: whether somebody does now. Otherwise
   * the same, sent again in that run, goes on with it.
   */
  awaited: z.boolean().optional(),
  /** The caller may decide about it now. */
  mayDecide: z.boolean(),
  /** Exactly the one of `kind`; absent once the gateway no longer keeps it. */
  statement: StatementPart.optional(),
  command: CommandPart.optional(),
  access: AccessPart.optional(),
});
export type Approval = z.infer<typeof Approval>;

/** The list has the beginning of it only. */
export function isShortened({ statement, command }: Approval): boolean {
  return (statement ?? command)?.shortened === true;
}

/** Query of the list. `after` and `wait` together make it a long poll. */
export const ApprovalsQuery = z.object({
  /** `open`: waiting or approved. Default: open. */
  state: z.enum(['open', 'all']).default('open'),
  kind: z.enum(APPROVAL_KINDS).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(100),
  /** `cursor` of the last reply: answer when something has changed since. */
  after: z.string().max(100).optional(),
  /** Seconds to wait for a change; then the same list comes again. */
  wait: z.coerce.number().int().min(0).max(50).default(0),
});

/** Newest first: what the caller asked for or may decide about; auditors see all. */
export const ApprovalsReply = z.object({
  v: z.literal(API_VERSION),
  cursor: z.string(),
  approvals: z.array(Approval),
});
export type ApprovalsReply = z.infer<typeof ApprovalsReply>;

export const ApprovalReply = z.object({ v: z.literal(API_VERSION), approval: Approval });
export type ApprovalReply = z.infer<typeof ApprovalReply>;

export const MAX_DECISION_REASON = 500;

export const DecisionRequest = z.object({
  v: z.literal(API_VERSION),
  decision: z.enum(['approve', 'deny']),
  /** Whoever asked sees it. A denial needs one. Control characters become spaces. */
  reason: freeText(MAX_DECISION_REASON).optional(),
  /** `binding` of what the approver has seen; when given it must still be that. */
  binding: z.string().optional(),
});
export type DecisionRequest = z.infer<typeof DecisionRequest>;
