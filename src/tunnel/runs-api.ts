/** `POST /v1/runs`. */
import * as z from 'zod';
import { isSessionId } from '../recording/session-id.ts';
import { Requestable } from './access-api.ts';
import { API_VERSION, TargetsReply, TokenReply, WhoamiReply } from './api.ts';
import { freeText, MAX_REASON } from './free-text.ts';

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
