/**
 * Nonces for the ID tokens of logins in a browser. An access token is often made out to the same
 * client and signed with the same key, and nothing that all providers agree on tells the two apart;
 * but only an ID token answers a nonce, and only one that this login has asked for has this one.
 *
 * None is stored before it is used: it has its time and a MAC, with a key that outlives a restart,
 * since somebody may be in the middle of a login. What was used is spent in the store, for good.
 */
import { createHmac, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { tokenNonce } from '../../api/login-nonce.ts';
import { tokenError } from './token-error.ts';

/** As long as an ID token may be exchanged after it was made, and `hoop login` waits for less. */
const LIFETIME_MS = 10 * 60_000;
/** `u64 milliseconds | 16 random bytes | 16 bytes of HMAC-SHA256` */
const LENGTH = 40;
const SIGNED_LENGTH = 24;

export class LoginNonces {
  readonly #key: Uint8Array;
  readonly #clock: () => number;

  /** @param signingKey of session tokens */
  constructor(signingKey: KeyObject, clock: () => number) {
    const secret = signingKey.export({ type: 'pkcs8', format: 'der' });
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'hoop/login-nonce/v1', 32));
    this.#clock = clock;
  }

  issue(): string {
    const signed = Buffer.alloc(SIGNED_LENGTH);
    signed.writeBigUInt64BE(BigInt(Math.floor(this.#clock())));
    randomBytes(SIGNED_LENGTH - 8).copy(signed, 8);
    return Buffer.concat([signed, this.#mac(signed)]).toString('base64url');
  }

  /**
   * @param sent the nonce that the login was begun with
   * @param found the `nonce` claim of the ID token
   * @returns when the nonce ends, in milliseconds; it is still to be spent
   * @throws HoopError HOOP_TOKEN_NONCE
   */
  check(sent: string | undefined, found: unknown, jkt: string): number {
    const bytes = Buffer.from(sent ?? '', 'base64url');
    const signed = bytes.subarray(0, SIGNED_LENGTH);
    if (
      sent === undefined ||
      bytes.length !== LENGTH ||
      bytes.toString('base64url') !== sent ||
      !timingSafeEqual(bytes.subarray(SIGNED_LENGTH), this.#mac(signed))
    ) {
      throw refused(
        sent === undefined
          ? 'The login was not begun with a nonce of this gateway; an older hoop does not ask for one.'
          : 'The nonce that the login was begun with is not one of this gateway.',
      );
    }
    const issuedAtMs = Number(signed.readBigUInt64BE());
    const endsAtMs = issuedAtMs + LIFETIME_MS;
    if (endsAtMs <= this.#clock()) {
      throw refused(`It must be used within ${LIFETIME_MS / 60_000} minutes.`);
    }
    if (found !== tokenNonce(sent, jkt)) {
      throw refused(
        found === undefined
          ? 'It has no nonce at all, as access tokens have none.'
          : 'It was made for another login, or for another key.',
      );
    }
    return endsAtMs;
  }

  #mac(signed: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(signed).digest().subarray(0, 16);
  }
}

function refused(detail: string): Error {
  return tokenError('HOOP_TOKEN_NONCE', 'the ID token does not answer this login', {
    detail,
    hint: 'Log in again with `hoop login`; update hoop if it stays so.',
  });
}
