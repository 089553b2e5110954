/**
 * Admits to the local port the holder of a user key of the session, and nobody else. No
 * password, no questions, no other key; how often one may try is counted.
 */
import { timingSafeEqual } from 'node:crypto';
import type { AuthContext, ParsedKey } from 'ssh2';
import { ssh2 } from '../shared/ssh2.ts';
import { publicKeyBytes, type SshKeyPair } from './ssh-keys.ts';

/** As `MaxAuthTries` of sshd. */
export const MAX_LOGIN_TRIES = 6;
/** useradd(8) takes 32, and directories a little more. */
const MAX_USER_LENGTH = 256;

type KeyAttempt = Extract<AuthContext, { method: 'publickey' }>;

interface UserKey {
  readonly bytes: Buffer;
  readonly parsed: ParsedKey;
}

export type LoginStep =
  /** The client may go on, with another key or with the signature. */
  | { readonly type: 'answered' }
  | { readonly type: 'right'; readonly user: string }
  | { readonly type: 'too many' };

export class LoginTries {
  readonly #keys: readonly UserKey[];
  #tries = 0;
  #hasAsked = false;

  constructor(userKeys: readonly Pick<SshKeyPair, 'publicKey'>[]) {
    this.#keys = userKeys.map((userKey) => {
      const parsed = ssh2.utils.parseKey(userKey.publicKey);
      if (parsed instanceof Error) {
        throw parsed;
      }
      return { bytes: publicKeyBytes(userKey), parsed };
    });
  }

  /** Answers the attempt, unless it is right: that is for the caller to accept. */
  next(attempt: AuthContext): LoginStep {
    // By asking for `none` clients learn what there is; once.
    if (attempt.method === 'none' && !this.#hasAsked) {
      this.#hasAsked = true;
      attempt.reject(['publickey']);
      return { type: 'answered' };
    }
    const key = attempt.method === 'publickey' ? this.#keyOf(attempt) : undefined;
    if (attempt.method === 'publickey' && key !== undefined) {
      if (attempt.signature === undefined) {
        attempt.accept();
        return { type: 'answered' };
      }
      if (isSigned(attempt, key)) {
        return { type: 'right', user: attempt.username };
      }
    }
    this.#tries += 1;
    if (this.#tries > MAX_LOGIN_TRIES) {
      return { type: 'too many' };
    }
    attempt.reject(['publickey']);
    return { type: 'answered' };
  }

  #keyOf({ key, username, hashAlgo }: KeyAttempt): UserKey | undefined {
    // RSA without a hash of its own is RSA with SHA-1 (RFC 8332).
    const isWeak = key.algo === 'ssh-rsa' && hashAlgo === undefined;
    if (isWeak || username.length > MAX_USER_LENGTH || /\p{Cc}/u.test(username)) {
      return undefined;
    }
    return this.#keys.find(
      ({ bytes, parsed }) =>
        key.algo === parsed.type &&
        key.data.length === bytes.length &&
        timingSafeEqual(key.data, bytes),
    );
  }
}

function isSigned({ blob, signature, hashAlgo }: KeyAttempt, { parsed }: UserKey): boolean {
  return (
    blob !== undefined &&
    signature !== undefined &&
    parsed.verify(blob, signature, hashAlgo) === true
  );
}
