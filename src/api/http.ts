/** What every request of the HTTP API has: its version, its path, the body of an error. */
import * as z from 'zod';

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
  repair: (id: string) => `/v1/sessions/${id}/repair`,
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
