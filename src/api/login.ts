/** Before and about a login: how to log in here, tokens, who one is. */
import * as z from 'zod';
import { API_VERSION } from './http.ts';

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
  /** It has groups, and the policy in force names none of them. */
  unnamedGroups: z.literal(true).optional(),
  /** RFC 3339. */
  expiresAt: z.string(),
});
export type WhoamiReply = z.infer<typeof WhoamiReply>;
