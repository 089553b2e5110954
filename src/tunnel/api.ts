/**
 * What the CLI and the gateway say to each other over HTTP and on the control channel. Both ends
 * import these schemas; whatever arrives is `unknown` until it has been parsed with them.
 */
import * as z from 'zod';
import { isSessionId } from '../recording/session-id.ts';
import { STREAM_KINDS } from '../recording/types.ts';
import { freeLine, freeText, MAX_REASON } from './free-text.ts';

export const API_VERSION = 1;

/** Paths, so that neither side spells one by itself. `:id` is a session id (UUIDv7). */
export const PATHS = {
  health: '/healthz',
  ready: '/readyz',
  info: '/v1/info',
  token: '/v1/token',
  logout: '/v1/logout',
  /** For identity providers. */
  backchannelLogout: '/v1/backchannel-logout',
  whoami: '/v1/whoami',
  runs: '/v1/runs',
  policy: '/v1/policy',
  policyBundle: '/v1/policy/bundle',
  targets: '/v1/targets',
  sessions: '/v1/sessions',
  session: (id: string) => `/v1/sessions/${id}`,
  end: (id: string) => `/v1/sessions/${id}/end`,
  control: (id: string) => `/v1/sessions/${id}/control`,
  streams: (id: string) => `/v1/sessions/${id}/streams`,
  cuts: (id: string) => `/v1/sessions/${id}/cuts`,
  seal: (id: string) => `/v1/sessions/${id}/seal`,
  manifest: (id: string) => `/v1/sessions/${id}/manifest`,
  bundle: (id: string) => `/v1/sessions/${id}/bundle`,
} as const;

export const ErrorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    detail: z.string().optional(),
    hint: z.string().optional(),
  }),
});

/** Public, before login: how to log in here and what to pin. */
export const InfoReply = z.object({
  v: z.literal(API_VERSION),
  gateway: z.string(),
  version: z.string(),
  identityProviders: z.array(
    z.object({
      issuer: z.string(),
      clientId: z.string(),
      scopes: z.array(z.string()),
      /** Seconds: so often the provider must confirm a login. Absent: never again. */
      fresh: z.number().optional(),
      /** PEM of the private CA behind its certificate. */
      ca: z.string().optional(),
      /** Absent: no login by device code. */
      device: z.object({ clientId: z.string(), scopes: z.array(z.string()) }).optional(),
    }),
  ),
  /** For one login in a browser within ten minutes: login-nonce.ts. Absent from an older gateway. */
  loginNonce: z.string().optional(),
  /** Ed25519 public key of the gateway's root, base64 of the raw 32 bytes. */
  rootKey: z.string(),
  /** Where people look at a session, with `{id}` for its id; for the summaries of CI jobs. */
  sessionUrl: z.string().startsWith('https://').max(1000).optional(),
  /** The C2SP signed note that lists the gateway's current keys, signed by the root. */
  keyring: z.string(),
  policy: z.object({
    /** Where clients may fetch it themselves; absent: only through the gateway. */
    repository: z.string().optional(),
    branch: z.string(),
    /** OpenSSH allowed-signers file, to pin on first use. */
    allowedSigners: z.string(),
  }),
});
export type InfoReply = z.infer<typeof InfoReply>;

/** RFC 8693 §2.2.1, with a rotating refresh handle. */
export const TokenReply = z.object({
  access_token: z.string(),
  issued_token_type: z.string(),
  token_type: z.literal('DPoP'),
  expires_in: z.number(),
  refresh_token: z.string(),
  /** Seconds until the login ends, which the handle renews tokens of. */
  login_expires_in: z.number().optional(),
  /** Seconds until the identity provider must have confirmed the login again. Absent: it need not. */
  fresh_expires_in: z.number().optional(),
});
export type TokenReply = z.infer<typeof TokenReply>;

/** For whom a workload works, as the issuer of its token says. */
export const Requester = z.object({ name: z.string(), claimedBy: z.literal('issuer') });

export const WhoamiReply = z.object({
  v: z.literal(API_VERSION),
  kind: z.enum(['person', 'workload']),
  issuer: z.string(),
  sub: z.string(),
  name: z.string(),
  email: z.string().optional(),
  groups: z.array(z.string()),
  roles: z.array(z.string()),
  /** Which entry of `workloads:` let it in, and why those that trust its issuer did or did not fit. */
  workload: z
    .object({
      entry: z.string(),
      platform: z.string(),
      entries: z.array(
        z.object({ name: z.string(), fits: z.boolean(), problems: z.array(z.string()) }),
      ),
    })
    .optional(),
  /** Name of the agent that acts for this principal. */
  agent: z.string().optional(),
  /** The login is the agent's own. */
  isAgent: z.literal(true).optional(),
  requester: Requester.optional(),
  /** The run that the login belongs to, and the run that it was made in. */
  run: z.object({ id: z.string(), parent: z.string().optional() }).optional(),
  /** Logged in with a device code: without roles, and nobody's approver. */
  viaDevice: z.literal(true).optional(),
  /** The claim that the policy reads groups from, which the token of the login does not have. */
  missingGroups: z.string().optional(),
  /** RFC 3339. */
  expiresAt: z.string(),
});
export type WhoamiReply = z.infer<typeof WhoamiReply>;

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

const MaskedColumn = z.object({
  column: z.string(),
  mask: z.string(),
  /** Whether statements may filter by it and compute with it, or only select it. */
  inference: z.enum(['allow', 'deny']),
  /** It may be compared with whole values, `limits.lookups` a day. */
  lookup: z.literal(true).optional(),
  /** Of all such columns together. Absent from an older gateway. */
  lookupsPerDay: z.number().optional(),
});

const LimitsReply = z.object({
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

export const SessionRequest = z.object({
  v: z.literal(API_VERSION),
  target: z.string(),
  reason: freeText(MAX_REASON).optional(),
  /** Session key, raw Ed25519 public key, base64. */
  clientKey: z.string(),
  /** base64 of 16 random bytes. */
  clientNonce: z.string(),
  /** From `PolicyReply.sessionNonce`. */
  serverNonce: z.string(),
  /** base64 Ed25519 by the session key: recording/proof-of-possession.ts. */
  proof: z.string(),
  /** The policy commit that the client verified itself. */
  policyCommit: z.string().optional(),
  cli: z.object({ version: z.string() }),
});
export type SessionRequest = z.infer<typeof SessionRequest>;

export const SessionReply = z.object({
  v: z.literal(API_VERSION),
  session: z.string().refine(isSessionId),
  /** DSSE envelope, JSON text: the session certificate. */
  certificate: z.string(),
  /** base64 of the 32-byte salt key K. */
  saltKey: z.string(),
  policy: z.object({ commit: z.string() }),
  target: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('postgres'),
      name: z.string(),
      database: z.string(),
      user: z.string(),
    }),
    z.object({
      kind: z.literal('ssh'),
      name: z.string(),
      /** Who one can log in as; the first is for who does not say. */
      users: z.array(z.string()),
      /** It takes frames that tell of what the client has refused. Absent from an older gateway. */
      hearsNotCarried: z.literal(true).optional(),
    }),
  ]),
  masked: z.array(MaskedColumn),
  detectors: z.array(z.string()),
  limits: LimitsReply,
  expiresAt: z.string(),
  recording: z.literal('full'),
  /** Absent: what the program shows on its terminal may be recorded. */
  terminal: z.literal('off').optional(),
});
export type SessionReply = z.infer<typeof SessionReply>;

/**
 * Why someone ends a session from elsewhere. It is shown in terminals that are not this person's,
 * psql's among them, which prints what it is sent: no controls, nothing that reorders text.
 */
export const EndSessionRequest = z.object({
  v: z.literal(API_VERSION),
  reason: freeLine(500).optional(),
  /** Also the login that opened it, with all its sessions and runs. */
  login: z.boolean().optional(),
});

export const EndSessionReply = z.object({
  v: z.literal(API_VERSION),
  session: z.string(),
  /** closed: by its owner; revoked: by somebody else. */
  endReason: z.enum(['closed', 'revoked']),
  /** What its client, its connections and its recording were told. */
  endMessage: z.string(),
  /** Logins that ended with it: of its run, or the one that was asked for, with those of its runs. */
  logins: z.number(),
});
export type EndSessionReply = z.infer<typeof EndSessionReply>;

export const SessionSummary = z.object({
  /** Clients name files after it. */
  id: z.string().refine(isSessionId),
  target: z.string(),
  principal: z.string(),
  /** Name of the agent that acted for the principal. */
  agent: z.string().optional(),
  /** The login was the agent's own. */
  isAgent: z.literal(true).optional(),
  requester: Requester.optional(),
  /** The run that opened it. */
  run: z.string().optional(),
  /** The run that that one was started in. */
  parentRun: z.string().optional(),
  /** Name of the run's program, without arguments, as the client says. */
  program: z.string().optional(),
  reason: z.string().optional(),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  endReason: z.string().optional(),
  /** In words: who ended it, which limit was reached. */
  endMessage: z.string().optional(),
  state: z.enum(['live', 'ended', 'uploaded', 'disputed']),
  statements: z.number(),
  denied: z.number(),
  maskedValues: z.number(),
  /** Of one session, not in lists: in which columns these were. Absent: in none, or an older gateway. */
  columnsMasked: z.array(z.string()).optional(),
  /** Values that were compared with masked columns by `lookup: true`. Absent: none. */
  lookups: z.number().optional(),
  upBytes: z.number(),
  downBytes: z.number(),
  policyCommit: z.string(),
  /** Ids of the temporary grants that it had. */
  grants: z.array(z.string()).optional(),
  /** Of its target: `postgres`, `ssh`. Absent from an older gateway. */
  kind: z.string().optional(),
  /** Of one session on a server, not in lists: how often each was decided about: shell, exec, forward, `sftp read`… */
  acts: z.record(z.string(), z.number()).optional(),
  /** What a program of `hoop run` showed on its terminal is in the recording, too. */
  terminal: z.literal('recorded').optional(),
  /** Of one session, not in lists: who signed that commit, and since when it was in force. */
  policySigner: z.string().optional(),
  policySince: z.string().optional(),
});
export type SessionSummary = z.infer<typeof SessionSummary>;
export const SessionShown = z.object({ v: z.literal(API_VERSION), session: SessionSummary });
export type SessionShown = z.infer<typeof SessionShown>;
export const SessionsReply = z.object({
  v: z.literal(API_VERSION),
  sessions: z.array(SessionSummary),
});
export type SessionsReply = z.infer<typeof SessionsReply>;

const Offsets = z.object({ stream: z.number(), up: z.number(), down: z.number() });
export const CutProposalSchema = z.object({
  epoch: z.number().int().nonnegative(),
  streams: z.array(Offsets).readonly(),
  treeSize: z.number().int().nonnegative(),
  root: z.string(),
  timeMs: z.number(),
  signature: z.string(),
});
export const CutAckSchema = z.object({
  epoch: z.number().int().nonnegative(),
  timeMs: z.number(),
  signature: z.string(),
});

/** Where the gateway stands with a session that has ended: what a late cut may cover. */
export const CutsReply = z.object({
  v: z.literal(API_VERSION),
  state: z.enum(['live', 'ended', 'sealed', 'complete']),
  /** Everything that the gateway has recorded, of every stream. */
  recorded: z.array(Offsets),
  /** How many cuts both sides have signed; the next epoch. */
  agreed: z.number().int().nonnegative(),
  lastAck: CutAckSchema.optional(),
});
export type CutsReply = z.infer<typeof CutsReply>;

/** What only the gateway knows of a sealed session and the manifest must name. base64 = bytes. */
export const GatewayFacts = z.object({
  head: z.string(),
  frames: z.number().int().nonnegative(),
  dataKeySha256: z.string(),
  startedMs: z.number().int(),
  endedMs: z.number().int(),
  endReason: z.string(),
  maskedValues: z.number().int().nonnegative(),
  streams: z.array(z.object({ stream: z.number(), kind: z.enum(['evidence', ...STREAM_KINDS]) })),
  /** What was recorded after the last agreed cut: signed by the gateway alone. */
  tail: z
    .object({
      epoch: z.number().int().nonnegative(),
      streams: z.array(Offsets),
      treeSize: z.number().int().nonnegative(),
      root: z.string(),
      timeMs: z.number().int(),
      signature: z.string(),
    })
    .optional(),
});
export type GatewayFacts = z.infer<typeof GatewayFacts>;

export const SealReply = z.object({ v: z.literal(API_VERSION), facts: GatewayFacts });
export type SealReply = z.infer<typeof SealReply>;

/**
 * Text messages of the control channel. Binary messages are the bytes of stream 0 (evidence
 * lines) and nothing else.
 */
export const ToGateway = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cut'), cut: CutProposalSchema }),
  /** All that has arrived is confirmed; more does not arrive because a local client does not read. */
  z.object({ type: z.literal('caughtUp') }),
  z.object({ type: z.literal('streamEnd'), stream: z.number(), up: z.number(), down: z.number() }),
  z.object({ type: z.literal('close') }),
]);
export type ToGateway = z.infer<typeof ToGateway>;

export const ToClient = z.discriminatedUnion('type', [
  /** Offsets of the up streams that are safely on the gateway's disk. */
  z.object({
    type: z.literal('recorded'),
    streams: z.array(z.object({ stream: z.number(), up: z.number() })),
  }),
  z.object({ type: z.literal('cutAck'), ack: CutAckSchema }),
  z.object({ type: z.literal('streamEnd'), stream: z.number(), up: z.number(), down: z.number() }),
  /** The session ends; the same is said on stream 0. No new streams from here on. */
  z.object({ type: z.literal('closing'), reason: z.string(), message: z.string() }),
  z.object({ type: z.literal('closed') }),
]);
export type ToClient = z.infer<typeof ToClient>;
