/** Nonces for the proof in a session request: one use, one login, five minutes, at any gateway of the store. */
import { createHash, type KeyObject } from 'node:crypto';
import type { IdentityStore } from '../identity/identity-store.ts';
import { SignedNonces } from '../identity/tokens/signed-nonce.ts';

const LIFETIME_MS = 5 * 60_000;

export interface SessionNonceOptions {
  readonly signingKey: KeyObject;
  readonly store: Pick<IdentityStore, 'spendOnce'>;
  readonly clock: () => number;
}

export class SessionNonces {
  readonly #options: SessionNonceOptions;
  readonly #signed: SignedNonces;

  constructor(options: SessionNonceOptions) {
    this.#options = options;
    this.#signed = new SignedNonces({ ...options, use: 'session-nonce', lifetimeMs: LIFETIME_MS });
  }

  /** base64 */
  issue(login: string): string {
    return this.#signed.issue(login).toString('base64');
  }

  /**
   * Whether it was issued to this login and not used; it is used now.
   * @throws what the store says: then it may be used
   */
  async use(login: string, nonce: string): Promise<boolean> {
    const bytes = Buffer.from(nonce, 'base64');
    const endsAtMs = this.#signed.endsAtMs(bytes, login);
    // Other spellings of the same bytes would be other nonces.
    if (endsAtMs === undefined || bytes.toString('base64') !== nonce) return false;
    if (endsAtMs <= this.#options.clock()) return false;
    const digest = createHash('sha256').update('session-nonce\0').update(bytes).digest('hex');
    return this.#options.store.spendOnce(digest, endsAtMs);
  }
}
