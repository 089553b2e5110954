import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * How long a nonce of the gateway may be used. Each reply brings a new one; a client that was
 * silent for longer learns it in one more round trip (RFC 9449 §8).
 */
const NONCE_LIFETIME_MS = 5 * 60_000;

/**
 * Nonces without a list of them: the time, authenticated with a key that lives as long as this
 * process. A proof made before a restart is refused for its nonce, so proofs that were seen need
 * not be remembered across one. https://www.rfc-editor.org/rfc/rfc9449#section-8
 */
export class DpopNonces {
  readonly #key = randomBytes(32);
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  issue(): string {
    return this.#encode(Math.floor(this.#clock()));
  }

  /** @returns when it ends, in milliseconds; undefined when it is not ours or is over. */
  check(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== 24) {
      return undefined;
    }
    const issuedAtMs = Number(bytes.readBigUInt64BE());
    const expected = Buffer.from(this.#encode(issuedAtMs), 'base64url');
    const endsAtMs = issuedAtMs + NONCE_LIFETIME_MS;
    return timingSafeEqual(bytes, expected) && endsAtMs > this.#clock() ? endsAtMs : undefined;
  }

  /** `u64 milliseconds | 16 bytes of HMAC-SHA256` */
  #encode(issuedAtMs: number): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(issuedAtMs));
    const mac = createHmac('sha256', this.#key).update(time).digest().subarray(0, 16);
    return Buffer.concat([time, mac]).toString('base64url');
  }
}
