/** The policy in force, and what it gives its reader on which targets. */
import * as z from 'zod';
import { API_VERSION } from './http.ts';

/** As in policy/mask-alert.ts. */
const MaskAlertReply = z.object({
  target: z.string(),
  column: z.string(),
  state: z.enum(['unresolved', 'moved']),
  boundTo: z.array(z.string()).readonly(),
});

/** As in policy/approver-groups.ts. */
const ApproverGroupReply = z.object({ group: z.string(), hasLoggedIn: z.boolean() });

export const PolicyReply = z.object({
  v: z.literal(API_VERSION),
  commit: z.string(),
  /** Commit time and signer, for people. */
  committedAt: z.string(),
  signer: z.string(),
  /** Seconds since the repository was last fetched without a fault. */
  ageSeconds: z.number(),
  /** Why the newest commit is not in force, when it is not. */
  problem: z.string().optional(),
  /** Masks whose names are not right any more, on targets that this principal sees. Absent: none. */
  maskAlerts: z.array(MaskAlertReply).readonly().optional(),
  /** Those that the policy in force names, and whether somebody has ever logged in with each. */
  approverGroups: z.array(ApproverGroupReply).readonly().optional(),
  /** base64 of 32 bytes for the proof of one session request; good once, for this login, 5 min. */
  sessionNonce: z.string(),
});
export type PolicyReply = z.infer<typeof PolicyReply>;

export const MaskedColumn = z.object({
  column: z.string(),
  mask: z.string(),
  /** Whether statements may filter by it and compute with it, or only select it. */
  inference: z.enum(['allow', 'deny']),
  /** It may be compared with whole values, `limits.lookups` a day. */
  lookup: z.literal(true).optional(),
  /** Of all such columns together. Absent from an older gateway. */
  lookupsPerDay: z.number().optional(),
});

export const LimitsReply = z.object({
  maxTimeSeconds: z.number(),
  idleTimeSeconds: z.number(),
  maxConnections: z.number(),
  maxRows: z.number().optional(),
  changedRowsPerTransaction: z.number().optional(),
  changedRowsPerDay: z.number().optional(),
});

export const TargetsReply = z.object({
  v: z.literal(API_VERSION),
  commit: z.string(),
  /** RFC 3339: when the commit came into force on this gateway. */
  inForceSince: z.string().optional(),
  targets: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      description: z.string().optional(),
      /** What clients connect to by name. */
      database: z.string().optional(),
      labels: z.record(z.string(), z.string()),
      /** Rule ids and effects in words, e.g. "allow select on public.*". */
      rules: z.array(z.string()),
      /** With an agent: its own rules. What is done needs one of these and one of those. */
      agentRules: z.array(z.string()).optional(),
      masked: z.array(MaskedColumn),
      /** What is looked for in texts of results and replaced. Absent from an older gateway. */
      detectors: z.array(z.string()).optional(),
      requireReason: z.boolean(),
      /** Absent: what programs show on their terminal may be recorded. */
      terminal: z.literal('off').optional(),
      /** Of a session. */
      limits: LimitsReply.optional(),
    }),
  ),
});
export type TargetsReply = z.infer<typeof TargetsReply>;
