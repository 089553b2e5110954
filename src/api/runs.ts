/** Runs of programs: `/v1/runs`. */
import * as z from 'zod';
import { isSessionId } from '../session-id.ts';
import { Requestable } from './access.ts';
import { freeLine, freeText, MAX_END_REASON, MAX_REASON } from './free-text.ts';
import { API_VERSION } from './http.ts';
import { TokenReply, WhoamiReply } from './login.ts';
import { TargetsReply } from './targets.ts';

/** Texts of a command line, together; Linux itself allows 2 MiB, which no recognition needs. */
export const MAX_COMMAND_LENGTH = 32 * 1024;
export const MAX_COMMAND_WORDS = 1024;
const MAX_TARGETS = 1000;

/**
 * A login of its own for one run of a program (`hoop run`): a child of the caller's login that can
 * do less. What it says of the program is a claim of the client.
 */
export const RunRequest = z.object({
  v: z.literal(API_VERSION),
  /** RFC 7638 thumbprint of the run's own key. */
  jkt: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'expected a thumbprint'),
  /** DPoP proof of that key for this request, with the caller's token as `ath`. */
  proof: z.string().max(4096),
  /** Name of an agent of the policy. Absent: recognised from the command, or none. */
  agent: z.string().min(1).max(63).optional(),
  command: z
    .array(z.string())
    .max(MAX_COMMAND_WORDS)
    .refine((words) => words.join(' ').length <= MAX_COMMAND_LENGTH, 'the command is too long'),
  /** Of the sessions of the run that bring none of their own. */
  reason: freeText(MAX_REASON).optional(),
  /** Names of the only targets that the run shall reach. Absent: all that the caller may. */
  targets: z.array(z.string().min(1).max(200)).min(1).max(MAX_TARGETS).optional(),
});
export type RunRequest = z.infer<typeof RunRequest>;

export const RunReply = z.object({
  v: z.literal(API_VERSION),
  run: z.string().refine(isSessionId),
  /** The run that it was made in. */
  parent: z.string().optional(),
  agent: z.string().optional(),
  token: TokenReply,
  /** RFC 3339: end of the login. */
  expiresAt: z.string(),
  /** What `GET /v1/whoami` and `GET /v1/targets` answer the run's login: its child waits for one answer. */
  whoami: WhoamiReply,
  reachable: TargetsReply,
  /** What the caller may ask for. */
  requestable: z.array(Requestable),
});
export type RunReply = z.infer<typeof RunReply>;

/** What sessions and refusals say of a run that somebody has ended; who and why follow. */
export const RUN_ENDED_BY = 'the run was ended by';

/** `:id` is that of a run. */
export const RUN_PATHS = {
  run: (id: string) => `/v1/runs/${id}`,
  end: (id: string) => `/v1/runs/${id}/end`,
} as const;

/** Characters of a prompt that are shown of a run. */
export const MAX_RUN_PROMPT = 400;

export const RunView = z.object({
  id: z.string(),
  /** The run that it was started in. */
  parent: z.string().optional(),
  requester: z.object({ issuer: z.string(), sub: z.string(), name: z.string() }),
  agent: z.string().optional(),
  /** Name of the program: a claim of the client, like the prompt. */
  program: z.string().optional(),
  reason: z.string().optional(),
  /** Names of the only ones that it may reach; absent: all of its person's. */
  targets: z.array(z.string()).optional(),
  /** RFC 3339, like all times here. */
  startedAt: z.string(),
  /** End of its login. */
  expiresAt: z.string(),
  /** That are live. */
  sessions: z.array(z.object({ id: z.string(), target: z.string() })),
  /** Requests for approval that are open. */
  held: z.array(z.object({ id: z.string(), target: z.string(), state: z.string() })),
  /** In force in its sessions, each once; not in lists. */
  prompts: z.array(z.object({ source: z.string(), text: z.string() })).optional(),
});
export type RunView = z.infer<typeof RunView>;

/** Newest first: the caller's; approvers see all. */
export const RunsReply = z.object({ v: z.literal(API_VERSION), runs: z.array(RunView) });
export type RunsReply = z.infer<typeof RunsReply>;

export const RunShown = z.object({ v: z.literal(API_VERSION), run: RunView });
export type RunShown = z.infer<typeof RunShown>;

export const EndRunRequest = z.object({
  v: z.literal(API_VERSION),
  /** Other people's terminals show it. */
  reason: freeLine(MAX_END_REASON).optional(),
});
export type EndRunRequest = z.infer<typeof EndRunRequest>;

export const EndRunReply = z.object({
  v: z.literal(API_VERSION),
  run: z.string(),
  /** What its sessions were told. */
  endMessage: z.string(),
  /** Logins that ended: its own, and those of runs within it. */
  logins: z.number(),
});
export type EndRunReply = z.infer<typeof EndRunReply>;
