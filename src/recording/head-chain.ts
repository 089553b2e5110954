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
  return hash('sha256', Buffer.concat([CONTEXT, segmentHeader]), 'buffer');
}

export function nextHead(head: Uint8Array, frameDigest: Uint8Array): Uint8Array {
  const both = Buffer.allocUnsafe(64);
  both.set(head);
  both.set(frameDigest, 32);
  return hash('sha256', both, 'buffer');
}

/** SHA-256 of one frame, given in parts. */
export function frameDigest(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) {
    return hash('sha256', first, 'buffer');
  }
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(part);
  }
  return digest.digest();
}
