/**
 * The nonce of the gateway's last answer, for the next command: it may be used for some minutes, and
 * without one the first request is refused and sent again (RFC 9449 §8). It is no secret, since a
 * proof needs the key as well.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Home, writeFileAtomic } from '../home.ts';

const FILE = 'nonce.json';
const MAX_LENGTH = 200;

/** @returns undefined: none is kept for this gateway, or what is kept cannot be read */
export function readKeptNonce(home: Home, gateway: string): string | undefined {
  try {
    const kept: unknown = JSON.parse(readFileSync(join(home.state, FILE), 'utf8'));
    const isOurs = typeof kept === 'object' && kept !== null && 'gateway' in kept;
    const nonce = isOurs && kept.gateway === gateway && 'nonce' in kept ? kept.nonce : undefined;
    return typeof nonce === 'string' && nonce.length <= MAX_LENGTH ? nonce : undefined;
  } catch {
    // The gateway gives another one.
    return undefined;
  }
}

/** At the end of a command; what cannot be kept costs the next one a round trip. */
export function keepNonce(home: Home, gateway: string, nonce: string | undefined): void {
  if (nonce === undefined) {
    return;
  }
  try {
    writeFileAtomic(join(home.state, FILE), `${JSON.stringify({ gateway, nonce })}\n`);
  } catch {
    // A full disk is told by what needs it.
  }
}
