import { hash } from 'node:crypto';

/** By way of a string: a buffer of its own costs Node more than the hash of a few bytes. */
export function sha256Of(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}
