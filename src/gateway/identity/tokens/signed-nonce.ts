/**
 * Nonces of which none is stored before it is used: each has its time and a MAC, with a key that
 * outlives a restart and that all gateways of one store have. What was used is spent in the store.
 */
import { createHmac, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';

/** `u64 milliseconds | 16 random bytes | 16 bytes of HMAC-SHA256` */
const LENGTH = 40;
const SIGNED_LENGTH = 24;

export interface SignedNonceOptions {
  /** Of session tokens. */
  readonly signingKey: KeyObject;
  /** What they are for; those of another use are not taken. */
  readonly use: string;
  readonly lifetimeMs: number;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

export class SignedNonces {
  readonly #options: SignedNonceOptions;
  readonly #key: Uint8Array;

  constructor(options: SignedNonceOptions) {
    this.#options = options;
    const secret = options.signingKey.export({ type: 'pkcs8', format: 'der' });
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', `hoop/${options.use}/v1`, 32));
  }

  /** @param of whom it is for; nobody else can use it @returns 40 bytes */
  issue(of = ''): Buffer {
    const signed = Buffer.alloc(SIGNED_LENGTH);
    signed.writeBigUInt64BE(BigInt(Math.floor(this.#options.clock())));
    randomBytes(SIGNED_LENGTH - 8).copy(signed, 8);
    return Buffer.concat([signed, this.#mac(signed, of)]);
  }

  /** @returns when it ends or has ended, wall clock in ms; undefined: it is none of these */
  endsAtMs(nonce: Buffer, of = ''): number | undefined {
    const signed = nonce.subarray(0, SIGNED_LENGTH);
    const isOurs =
      nonce.length === LENGTH &&
      timingSafeEqual(nonce.subarray(SIGNED_LENGTH), this.#mac(signed, of));
    return isOurs ? Number(signed.readBigUInt64BE()) + this.#options.lifetimeMs : undefined;
  }

  #mac(signed: Uint8Array, of: string): Buffer {
    const mac = createHmac('sha256', this.#key).update(signed).update(of);
    return mac.digest().subarray(0, 16);
  }
}
