import type { ScramKeys } from './scram-sha-256.ts';

/**
 * The keys of one password with the salt that a server asked for last. To derive them takes thousands
 * of rounds, milliseconds for each login, and a server has one salt for a role until its password is
 * changed (so have its replicas). They let in whoever has them, as the password does: keep them no
 * longer than it, and where it is.
 */
export class KnownScramKeys {
  #salt = '';
  #iterations = 0;
  #keys: Promise<ScramKeys> | undefined;

  /** @param derive called unless they are known; what fails is not kept */
  of(salt: Uint8Array, iterations: number, derive: () => Promise<ScramKeys>): Promise<ScramKeys> {
    const text = Buffer.from(salt).toString('base64');
    if (this.#keys !== undefined && this.#salt === text && this.#iterations === iterations) {
      return this.#keys;
    }
    const keys = derive();
    this.#salt = text;
    this.#iterations = iterations;
    this.#keys = keys;
    keys.catch(() => {
      if (this.#keys === keys) {
        this.#keys = undefined;
      }
    });
    return keys;
  }
}
