/** Pinned host keys: what to offer for them, whether one of them was shown, and what they are called. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';

/** By the kind in known_hosts: what a server may sign with. SHA-1 is not among it. */
const SIGNATURES: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** @param pinned `ssh-ed25519 AAAA…`; empty: none of them is of a kind that can be used */
export function signaturesFor(pinned: readonly string[]): ServerHostKeyAlgorithm[] {
  return [...new Set(pinned.flatMap((key) => SIGNATURES[kindOf(key)] ?? []))];
}

export function kindOf(pinned: string): string {
  return pinned.split(' ')[0] ?? '';
}

/** @param shown as in RFC 4253 §6.6 */
export function isPinned(pinned: readonly string[], shown: Uint8Array): boolean {
  return pinned.some((key) => {
    const bytes = keyBytes(key);
    return bytes.length === shown.length && timingSafeEqual(bytes, shown);
  });
}

/** @param shown of `fingerprint` */
export function pinsFingerprint(pinned: readonly string[], shown: string): boolean {
  return pinned.some((key) => fingerprint(keyBytes(key)) === shown);
}

/** As OpenSSH calls it: `SHA256:…`. */
export function fingerprint(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** "SHA256:… (ssh-ed25519)", for each. */
export function pinnedText(pinned: readonly string[]): string {
  return pinned.map((key) => `${fingerprint(keyBytes(key))} (${kindOf(key)})`).join(', ');
}

function keyBytes(pinned: string): Uint8Array {
  return Buffer.from(pinned.split(' ')[1] ?? '', 'base64');
}
