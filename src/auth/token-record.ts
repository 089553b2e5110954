/** What is kept of a login on this machine: secrets all, and only together of use. */
import * as z from 'zod';
import { HoopError } from '../errors.ts';
import type { TokenReply } from '../tunnel/api.ts';
import { type DpopKey, exportDpopKey } from '../tunnel/dpop-key.ts';

export const TokenRecord = z.object({
  accessToken: z.string(),
  /** By the clock of this machine. */
  expiresAtMs: z.number(),
  refreshToken: z.string(),
  /** From `exportDpopKey`. */
  key: z.string(),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

export function toTokenRecord(reply: TokenReply, key: DpopKey, nowMs: number): TokenRecord {
  return {
    accessToken: reply.access_token,
    expiresAtMs: nowMs + reply.expires_in * 1000,
    refreshToken: reply.refresh_token,
    key: exportDpopKey(key),
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
