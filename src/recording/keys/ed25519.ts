/** Ed25519 keys as the formats here carry them: 32 raw bytes. https://www.rfc-editor.org/rfc/rfc8032 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { FormatError } from '../../format-error.ts';
import { fromBase64, toHex } from '../formats/encoding.ts';

const PUBLIC_KEY_LENGTH = 32;
export const SIGNATURE_LENGTH = 64;

export interface SigningKey {
  /** 32 raw bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

export function generateSigningKey(): SigningKey {
  return signingKeyFrom(generateKeyPairSync('ed25519').privateKey);
}

export function signingKeyFrom(privateKey: KeyObject): SigningKey {
  const { crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) {
    throw new TypeError('not an Ed25519 key');
  }
  return { publicKey: Buffer.from(x, 'base64url'), privateKey };
}

export function signEd25519(key: SigningKey, message: Uint8Array): Uint8Array {
  return sign(null, message, key.privateKey);
}

export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return signature.length === SIGNATURE_LENGTH
    ? verify(null, message, publicKeyFromRaw(publicKey), signature)
    : false;
}

/** @throws FormatError unless `raw` is 32 bytes. */
function publicKeyFromRaw(raw: Uint8Array): KeyObject {
  if (raw.length !== PUBLIC_KEY_LENGTH) {
    throw new FormatError(`a public key has ${raw.length} bytes instead of ${PUBLIC_KEY_LENGTH}`);
  }
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

export function publicKeyFromBase64(text: string, what: string): Uint8Array {
  return fromBase64(text, what, PUBLIC_KEY_LENGTH);
}

/** The `keyid` of DSSE signatures: only a hint for whoever looks for the key. */
export function keyId(publicKey: Uint8Array): string {
  return toHex(createHash('sha256').update(publicKey).digest());
}

/** For people to compare, as ssh shows keys: `SHA256:` and base64 without padding. */
export function fingerprintOf(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update(publicKey).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
