/**
 * What people typed, at rest: the index holds no SQL and no values in the clear, so that a copy of
 * it tells nothing. AES-256-GCM: 12 bytes nonce, ciphertext, 16 bytes tag.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Secret } from '../../secret.ts';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SealedJson {
  readonly #key: Uint8Array;

  /** @param key 32 bytes, for this use alone */
  constructor(key: Secret<Uint8Array>) {
    this.#key = key.expose();
  }

  /** @param about is authenticated with it: what was sealed for one id does not open for another. */
  seal(value: unknown, about: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    cipher.setAAD(Buffer.from(about));
    const text = cipher.update(JSON.stringify(value), 'utf8');
    return Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws Error when it was sealed for something else, with another key, or was changed. */
  open(sealed: Uint8Array, about: string): unknown {
    const bytes = Buffer.from(sealed);
    const end = bytes.length - TAG_BYTES;
    const decipher = createDecipheriv(ALGORITHM, this.#key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(Buffer.from(about));
    decipher.setAuthTag(bytes.subarray(end));
    const text = decipher.update(bytes.subarray(NONCE_BYTES, end));
    const json: unknown = JSON.parse(Buffer.concat([text, decipher.final()]).toString('utf8'));
    return json;
  }
}
