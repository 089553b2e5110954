/**
 * The chain over one side's own file: h₀ = SHA256("hoop/rec/v1\0" ‖ segment header), then
 * hₙ = SHA256(hₙ₋₁ ‖ SHA256(frame)). The header of the next segment carries the last head, so the
 * chain runs through all of them.
 */
import { createHash, hash } from 'node:crypto';
import { utf8 } from './encoding.ts';

const CONTEXT = utf8('hoop/rec/v1\0');

export const NO_HEAD: Uint8Array = new Uint8Array(32);

export function firstHead(segmentHeader: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([CONTEXT, segmentHeader]));
}

export function nextHead(head: Uint8Array, frameDigest: Uint8Array): Uint8Array {
  const both = Buffer.allocUnsafe(64);
  both.set(head);
  both.set(frameDigest, 32);
  return sha256(both);
}

/** SHA-256 of one frame, given in parts. */
export function frameDigest(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) {
    return sha256(first);
  }
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(part);
  }
  return digest.digest();
}

/** By way of a string: a buffer of its own costs Node more than the hash of a short frame. */
function sha256(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}
