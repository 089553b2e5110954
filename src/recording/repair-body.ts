/**
 * Body of a REPAIR frame: bytes that the gateway's disk has lost and that the client received. They
 * are the client's word alone: no leaf, no cut and no total covers them.
 *
 *     u32 stream | u8 direction | u64 offset | signature [64] | bytes
 *     signature = Ed25519(session key, "hoop/repair/v2\0" ‖ session id [16] ‖ u32 stream
 *                         ‖ u8 direction ‖ u64 offset ‖ u32 length ‖ SHA256(bytes))
 */
import { FormatError } from '../format-error.ts';
import { sessionIdBytes } from '../session-id.ts';
import { decodeDataBody, encodeDataPrefix } from './data-body.ts';
import { SIGNATURE_LENGTH, verifyEd25519 } from './ed25519.ts';
import { utf8 } from './encoding.ts';
import type { DataPlace } from './frame-digest.ts';
import { sha256Of } from './sha256-of.ts';
import type { Direction } from './types.ts';

const CONTEXT = utf8('hoop/repair/v2\0');

export interface Repair {
  readonly stream: number;
  readonly direction: Direction;
  readonly offset: number;
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}

/** @throws FormatError */
export function decodeRepair(body: Uint8Array): Repair {
  const { bytes: rest, ...place } = decodeDataBody(body);
  const bytes = rest.subarray(SIGNATURE_LENGTH);
  if (bytes.length === 0) {
    throw new FormatError('a repair has no bytes');
  }
  return { ...place, signature: rest.subarray(0, SIGNATURE_LENGTH), bytes };
}

/** @throws FormatError */
export function repairPlace(body: Uint8Array): DataPlace {
  const { stream, direction, offset, bytes } = decodeRepair(body);
  return { stream, direction, offset, length: bytes.length };
}

export function repairSigningBytes(session: string, repair: Omit<Repair, 'signature'>): Uint8Array {
  const { stream, direction, offset, bytes } = repair;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([
    CONTEXT,
    sessionIdBytes(session),
    encodeDataPrefix(stream, direction, offset),
    length,
    sha256Of(bytes),
  ]);
}

export function isRepairSigned(clientKey: Uint8Array, session: string, repair: Repair): boolean {
  return verifyEd25519(clientKey, repairSigningBytes(session, repair), repair.signature);
}
