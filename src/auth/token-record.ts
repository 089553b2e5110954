/** What is kept of a login on this machine: secrets all, and only together of use. */
import * as z from 'zod';
import type { TokenReply } from '../api/login.ts';
import { type DpopKey, exportDpopKey } from '../client/dpop-key.ts';
import { HoopError } from '../errors.ts';

/** What is kept of the identity provider: to renew the login there, and to end it. */
export const ProviderTokens = z.object({
  issuer: z.string(),
  clientId: z.string(),
  /** PEM of the private CA behind its certificate. */
  ca: z.string().optional(),
  /** Absent: the provider gave none. */
  refreshToken: z.string().optional(),
});
export type ProviderTokens = z.infer<typeof ProviderTokens>;

export const TokenRecord = z.object({
  accessToken: z.string(),
  /** By the clock of this machine. */
  expiresAtMs: z.number(),
  refreshToken: z.string(),
  /** From `exportDpopKey`. */
  key: z.string(),
  /** Not in the record of a run, nor in those of an older hoop. */
  provider: ProviderTokens.optional(),
  /** By the clock of this machine: until then the provider must have confirmed the login again. */
  freshUntilMs: z.number().optional(),
  /** From when on it is asked. */
  freshFromMs: z.number().optional(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

/** Of the time that the provider's word is good for; what is left is for a provider that is down. */
const ASK_AFTER = 0.6;

export function toTokenRecord(
  reply: TokenReply,
  key: DpopKey,
  nowMs: number,
  provider?: ProviderTokens,
): TokenRecord {
  const freshForMs =
    reply.fresh_expires_in === undefined ? undefined : reply.fresh_expires_in * 1000;
  return {
    accessToken: reply.access_token,
    expiresAtMs: nowMs + reply.expires_in * 1000,
    refreshToken: reply.refresh_token,
    key: exportDpopKey(key),
    ...(provider === undefined ? {} : { provider }),
    ...(freshForMs === undefined
      ? {}
      : { freshUntilMs: nowMs + freshForMs, freshFromMs: nowMs + freshForMs * ASK_AFTER }),
  };
}

/** Where tokens are kept. A gateway is named by its base URL. */
export interface TokenStore {
  /** For people: `keychain (Secret Service)`, `file /home/…/tokens.json`. */
  readonly description: string;
  read(gateway: string): Promise<TokenRecord | undefined>;
  write(gateway: string, record: TokenRecord): Promise<void>;
  /** @returns whether there was something to remove */
  remove(gateway: string): Promise<boolean>;
}

/** @throws HoopError HOOP_LOCAL_STATE */
export function parseTokenRecord(value: unknown, where: string): TokenRecord {
  const parsed = TokenRecord.safeParse(value);
  if (!parsed.success) {
    throw new HoopError('HOOP_LOCAL_STATE', `the tokens in the ${where} are damaged`, {
      hint: 'Log in again with `hoop login`.',
    });
  }
  return parsed.data;
}
