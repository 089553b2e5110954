/**
 * Nonces for the ID tokens of logins in a browser. An access token is often made out to the same
 * client and signed with the same key, and nothing that all providers agree on tells the two apart;
 * but only an ID token answers a nonce, and only one that this login has asked for has this one.
 * Somebody may be in the middle of a login when the gateway restarts: see SignedNonces.
 */
import type { KeyObject } from 'node:crypto';
import { tokenNonce } from '../../api/login-nonce.ts';
import { SignedNonces } from './tokens/signed-nonce.ts';
import { tokenError } from './tokens/token-error.ts';

/** As long as an ID token may be exchanged after it was made, and `hoop login` waits for less. */
const LIFETIME_MS = 10 * 60_000;

export class LoginNonces {
  readonly #signed: SignedNonces;
  readonly #clock: () => number;

  /** @param signingKey of session tokens */
  constructor(signingKey: KeyObject, clock: () => number) {
    this.#signed = new SignedNonces({
      ...{ signingKey, clock },
      use: 'login-nonce',
      lifetimeMs: LIFETIME_MS,
    });
    this.#clock = clock;
  }

  issue(): string {
    return this.#signed.issue().toString('base64url');
  }

  /**
   * @param sent the nonce that the login was begun with
   * @param found the `nonce` claim of the ID token
   * @returns when the nonce ends, in milliseconds; it is still to be spent
   * @throws HoopError HOOP_TOKEN_NONCE
   */
  check(sent: string | undefined, found: unknown, jkt: string): number {
    const bytes = Buffer.from(sent ?? '', 'base64url');
    const endsAtMs = this.#signed.endsAtMs(bytes);
    if (sent === undefined || endsAtMs === undefined || bytes.toString('base64url') !== sent) {
      throw refused(
        sent === undefined
          ? 'The login did not start with a nonce from this gateway; an older hoop does not request one.'
          : 'The nonce that the login started with is not from this gateway.',
      );
    }
    if (endsAtMs <= this.#clock()) {
      throw refused(`It must be used within ${LIFETIME_MS / 60_000} minutes.`);
    }
    if (found !== tokenNonce(sent, jkt)) {
      throw refused(
        found === undefined
          ? 'It has no nonce at all, like an access token.'
          : 'It was made for another login, or for another key.',
      );
    }
    return endsAtMs;
  }
}

function refused(detail: string): Error {
  return tokenError('HOOP_TOKEN_NONCE', 'the ID token does not belong to this login', {
    detail,
    hint: 'Log in again with `hoop login`; update hoop if that does not help.',
  });
}
