/**
 * Who may use the local port: whoever holds the user key of the session, and nobody else. No
 * password, no questions, no other key; how often one may try is counted.
 */
import { timingSafeEqual } from 'node:crypto';
import type { AuthContext } from 'ssh2';
import { ssh2 } from '../../../ssh2.ts';
import { publicKeyBytes, type SshKeyPair } from './ssh-keys.ts';

/** As `MaxAuthTries` of sshd. */
export const MAX_LOGIN_TRIES = 6;
/** useradd(8) takes 32, and directories a little more. */
const MAX_USER_LENGTH = 256;

export type LoginStep =
  /** The client may go on, with another key or with the signature. */
  | { readonly type: 'answered' }
  | { readonly type: 'right'; readonly user: string }
  | { readonly type: 'too many' };

export class LoginTries {
  readonly #key: Buffer;
  readonly #verify: (attempt: Extract<AuthContext, { method: 'publickey' }>) => boolean;
  #tries = 0;
  #hasAsked = false;

  constructor(userKey: Pick<SshKeyPair, 'publicKey'>) {
    this.#key = publicKeyBytes(userKey);
    const parsed = ssh2.utils.parseKey(userKey.publicKey);
    if (parsed instanceof Error) {
      throw parsed;
    }
    this.#verify = ({ blob, signature, hashAlgo }) =>
      blob !== undefined &&
      signature !== undefined &&
      parsed.verify(blob, signature, hashAlgo) === true;
  }

  /** Answers the attempt, unless it is right: that is for the caller to accept. */
  next(attempt: AuthContext): LoginStep {
    // By asking for `none` clients learn what there is; once.
    if (attempt.method === 'none' && !this.#hasAsked) {
      this.#hasAsked = true;
      attempt.reject(['publickey']);
      return { type: 'answered' };
    }
    if (attempt.method === 'publickey' && this.#isRight(attempt)) {
      if (attempt.signature === undefined) {
        attempt.accept();
        return { type: 'answered' };
      }
      if (this.#verify(attempt)) {
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

  #isRight({ key, username }: Extract<AuthContext, { method: 'publickey' }>): boolean {
    return (
      key.algo === 'ssh-ed25519' &&
      key.data.length === this.#key.length &&
      timingSafeEqual(key.data, this.#key) &&
      username.length <= MAX_USER_LENGTH &&
      !/\p{Cc}/u.test(username)
    );
  }
}
