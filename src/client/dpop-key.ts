/**
 * The client's key: made at login, kept with the tokens, and worth nothing without them as they
 * are without it. Made with node:crypto alone, since every command needs it at its start.
 * https://www.rfc-editor.org/rfc/rfc9449#section-4.2
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

export interface DpopKey {
  readonly privateKey: KeyObject;
  /** base64url of the raw Ed25519 public key. */
  readonly x: string;
}

export interface ProofFields {
  readonly method: string;
  /** Whole URL; query and fragment are left out of the proof. */
  readonly url: string;
  /** What the gateway sent last as `DPoP-Nonce`. */
  readonly nonce: string | undefined;
  /** The token that goes with it; undefined at the token endpoint. */
  readonly accessToken: string | undefined;
  readonly nowMs: number;
}

export function generateDpopKey(): DpopKey {
  return withPublicKey(generateKeyPairSync('ed25519').privateKey);
}

/** RFC 7638 §3: members in lexicographic order, no white space. */
export function thumbprintOf({ x }: DpopKey): string {
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`;
  return createHash('sha256').update(jwk).digest('base64url');
}

/** PKCS #8, base64: what the token store keeps. */
export function exportDpopKey(key: DpopKey): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
}

/** @throws Error for anything that `exportDpopKey` did not write */
export function importDpopKey(text: string): DpopKey {
  return withPublicKey(
    createPrivateKey({ key: Buffer.from(text, 'base64'), type: 'pkcs8', format: 'der' }),
  );
}

export function createDpopProof(key: DpopKey, fields: ProofFields): string {
  const target = new URL(fields.url);
  // The proof names what HTTP calls the resource, whatever is upgraded on it.
  const origin = target.origin.replace(/^ws/, 'http');
  const header = {
    typ: 'dpop+jwt',
    alg: 'EdDSA',
    jwk: { kty: 'OKP', crv: 'Ed25519', x: key.x },
  };
  const claims = {
    jti: randomBytes(16).toString('base64url'),
    htm: fields.method,
    htu: `${origin}${target.pathname}`,
    iat: Math.floor(fields.nowMs / 1000),
    ...(fields.nonce === undefined ? {} : { nonce: fields.nonce }),
    ...(fields.accessToken === undefined
      ? {}
      : { ath: createHash('sha256').update(fields.accessToken).digest('base64url') }),
  };
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), key.privateKey).toString('base64url')}`;
}

function withPublicKey(privateKey: KeyObject): DpopKey {
  const { crv, x } = privateKey.export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) {
    throw new TypeError('not an Ed25519 key');
  }
  return { privateKey, x };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
