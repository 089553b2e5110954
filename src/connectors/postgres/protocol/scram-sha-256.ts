/**
 * What both sides of SCRAM-SHA-256 share: keys, proofs and the grammar of attributes.
 * https://www.rfc-editor.org/rfc/rfc5802 with SHA-256 from https://www.rfc-editor.org/rfc/rfc7677
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ProtocolError } from '../../../errors.ts';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

/** SHA-256: bytes of every key, signature and proof. */
export const SCRAM_KEY_LENGTH = 32;

/** RFC 7677 §4: "the hash iteration-count SHOULD be such that …, minimum 4096". */
export const MIN_SCRAM_ITERATIONS = 4096;

/**
 * No setting of PostgreSQL is near this, and it is about 0.3 s of work: a hostile server must not
 * be able to keep a client busy with one number.
 */
export const MAX_SCRAM_ITERATIONS = 1_000_000;

/** What a server keeps instead of the password (RFC 5802 §3). */
export interface ScramVerifier {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface ScramKeys {
  readonly clientKey: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export function scramKeys(saltedPassword: Uint8Array): ScramKeys {
  const clientKey = hmac(saltedPassword, 'Client Key');
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmac(saltedPassword, 'Server Key') };
}

export function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}

/** Constant time; both are SHA-256 outputs, so a length that differs is no secret. */
export function equalKeys(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** "printable": 0x21 to 0x7E without the comma (RFC 5802 §7). */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

/**
 * One attribute, `letter=value`, from the front of a list of them.
 * @throws ProtocolError if the list does not begin with that letter.
 */
export function takeAttribute(attributes: string[], letter: string, message: string): string {
  const attribute = attributes.shift();
  if (attribute === undefined || !attribute.startsWith(`${letter}=`)) {
    throw new ProtocolError(`${message} has no attribute "${letter}" in its place`);
  }
  return attribute.slice(2);
}

/** Strict base64: the one spelling that encoding gives. */
export function decodeBase64(text: string, message: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) {
    throw new ProtocolError(`${message} has malformed base64`);
  }
  return bytes;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
