/**
 * Nonces for the proof in a session request: one use, one login, five minutes. In memory, because
 * a restart may well make a client ask again.
 */
import { randomBytes } from 'node:crypto';

const LIFETIME_MS = 5 * 60_000;
/** Per login; older ones go first. A client that fetches the policy often loses only its own. */
const MAX_PER_LOGIN = 32;

export class SessionNonces {
  readonly #clock: () => number;
  readonly #byLogin = new Map<string, Map<string, number>>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** base64 of 32 random bytes. */
  issue(login: string): string {
    this.#prune();
    const nonces = this.#byLogin.get(login) ?? new Map<string, number>();
    this.#byLogin.set(login, nonces);
    for (const oldest of nonces.keys()) {
      if (nonces.size < MAX_PER_LOGIN) {
        break;
      }
      nonces.delete(oldest);
    }
    const nonce = randomBytes(32).toString('base64');
    nonces.set(nonce, this.#clock() + LIFETIME_MS);
    return nonce;
  }

  /** Whether it was issued to this login and not used; it is used now. */
  use(login: string, nonce: string): boolean {
    const nonces = this.#byLogin.get(login);
    const expires = nonces?.get(nonce);
    nonces?.delete(nonce);
    return expires !== undefined && expires > this.#clock();
  }

  #prune(): void {
    const now = this.#clock();
    for (const [login, nonces] of this.#byLogin) {
      // Insertion order is expiry order.
      for (const [nonce, expires] of nonces) {
        if (expires > now) {
          break;
        }
        nonces.delete(nonce);
      }
      if (nonces.size === 0) {
        this.#byLogin.delete(login);
      }
    }
  }
}
