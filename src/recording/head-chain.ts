/**
 * The chain over one recording: h₀ = SHA256("hoop/rec/v2\0" ‖ segment header), then
 * hₙ = SHA256(hₙ₋₁ ‖ frame header up to its checksum), which ends with the digest of what the frame
 * holds (frame-digest.ts). The header of the next segment carries the last head, so the chain runs
 * through all of them. All of it is in the clear: the head can be computed without any key.
 */
import { hash } from 'node:crypto';
import { utf8 } from './encoding.ts';
import { CHAINED_HEADER_LENGTH } from './frame.ts';
import { HASH_LENGTH } from './merkle-tree.ts';

const CONTEXT = utf8('hoop/rec/v2\0');

export const NO_HEAD: Uint8Array = new Uint8Array(HASH_LENGTH);

export function firstHead(segmentHeader: Uint8Array): Uint8Array {
  return sha256Of(Buffer.concat([CONTEXT, segmentHeader]));
}

/** @param frame begins with the frame's header */
export function nextHead(head: Uint8Array, frame: Uint8Array): Uint8Array {
  const both = Buffer.allocUnsafe(HASH_LENGTH + CHAINED_HEADER_LENGTH);
  both.set(head);
  both.set(frame.subarray(0, CHAINED_HEADER_LENGTH), HASH_LENGTH);
  return sha256Of(both);
}

/** By way of a string: a buffer of its own costs Node more than the hash of a few bytes. */
function sha256Of(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1');
}
