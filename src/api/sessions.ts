/** Sessions: asking for one, ending one, what lists say of them. */
import * as z from 'zod';
import { isSessionId } from '../session-id.ts';
import { freeLine, freeText, MAX_END_REASON, MAX_REASON } from './free-text.ts';
import { API_VERSION } from './http.ts';
import { Requester } from './login.ts';
import { LimitsReply, MaskedColumn } from './targets.ts';

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
  /** base64 Ed25519 by the session key: recording/keys/proof-of-possession.ts. */
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
  /**
   * What else there is, is between the two ends of its connector. `postgres`: `database`, `user`.
   * `ssh`: `users`, who one can log in as, the first for who does not say; `hearsNotCarried`, it takes
   * frames that tell of what the client has refused (absent from an older gateway).
   */
  target: z.looseObject({ kind: z.string(), name: z.string() }),
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
  reason: freeLine(MAX_END_REASON).optional(),
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

/** Whose a session is, and on what. */
export const SESSION_OF = {
  target: z.string(),
  principal: z.string(),
  /** Name of the agent that acted for the principal. */
  agent: z.string().optional(),
  /** The login was the agent's own. */
  isAgent: z.literal(true).optional(),
  requester: Requester.optional(),
  /** The run that opened it. */
  run: z.string().optional(),
};

export const SessionSummary = z.object({
  /** Clients name files after it. */
  id: z.string().refine(isSessionId),
  ...SESSION_OF,
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
  /**
   * `lost`: the gateway no longer has files of its recording. `erased`: the keys to read it were
   * destroyed. Absent: neither, or another node keeps it.
   */
  recording: z.enum(['lost', 'erased']).optional(),
  /** The node that keeps its recording, where that is not the one that answers. */
  keptBy: z.object({ node: z.string(), url: z.string().optional() }).optional(),
  statements: z.number(),
  denied: z.number(),
  maskedValues: z.number(),
  /** Of one session, not in lists: in which columns these were. Absent: in none, or an older gateway. */
  columnsMasked: z.array(z.string()).optional(),
  /** Values that were compared with masked columns by `lookup: true`. Absent: none. */
  lookups: z.number().optional(),
  upBytes: z.number(),
  downBytes: z.number(),
  /**
   * What the gateway's disk lost of the recording and the client has sent back, as its word alone; not
   * in `upBytes` and `downBytes`. Absent: nothing.
   */
  lostBytes: z.number().optional(),
  policyCommit: z.string(),
  /** Ids of the temporary grants that it had. */
  grants: z.array(z.string()).optional(),
  /** Of its target: `postgres`, `ssh`. Absent from an older gateway. */
  kind: z.string().optional(),
  /**
   * Of one session, not in lists, where more is done than statements: how often each was decided
   * about, such as shell, exec, forward, `sftp read`.
   */
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
