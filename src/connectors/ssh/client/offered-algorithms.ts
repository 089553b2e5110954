/**
 * Chooses what a local SSH client is offered. Everything of ssh2 that is safe is there for clients
 * whose configuration insists on it. Ciphers depend on what the client offers: its first one that the
 * server has, too, is taken (RFC 4253 §7.1), and that of most clients would be a slower one.
 *
 * Terrapin (CVE-2023-48795) takes packets away from the beginning where the cipher is
 * chacha20-poly1305, or the MAC is over what has been encrypted (-etm), unless both sides exchange
 * keys strictly. AES-GCM and a plain MAC are out of its reach.
 *
 * Not offered: SHA-1 in any role, groups below 2048 bits, CBC (CVE-2008-5161), and
 * diffie-hellman-group-exchange, of which ssh2 has only the client's part.
 */
import type { CipherAlgorithm, KexAlgorithm, MacAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';
import type { KexInit } from '../protocol/kex-init.ts';

export interface OfferedAlgorithms {
  readonly cipher: readonly CipherAlgorithm[];
  readonly mac: readonly MacAlgorithm[];
}

export const OFFERED_KEX: readonly KexAlgorithm[] = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group15-sha512',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group17-sha512',
  'diffie-hellman-group18-sha512',
];
/** Of these, the ones for which there are keys. */
export const OFFERED_HOST_KEYS: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];
const GCM: readonly CipherAlgorithm[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
const CTR: readonly CipherAlgorithm[] = ['aes256-ctr', 'aes192-ctr', 'aes128-ctr'];
/** libssh2 1.10 and dropbear have no other than the first. */
const PLAIN_MACS: readonly MacAlgorithm[] = ['hmac-sha2-256', 'hmac-sha2-512'];

/** Offered to clients that wait for our offer before they make theirs: what is safe with every client. */
export const OFFERED_UNSEEN: OfferedAlgorithms = { cipher: [...GCM, ...CTR], mac: PLAIN_MACS };
/** It brings its own MAC. */
const OFFERED_GCM: OfferedAlgorithms = { cipher: GCM, mac: PLAIN_MACS };
const OFFERED_STRICT: OfferedAlgorithms = {
  cipher: ['chacha20-poly1305@openssh.com', ...CTR],
  mac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', ...PLAIN_MACS],
};
const OFFERED_OTHERWISE: OfferedAlgorithms = { cipher: CTR, mac: PLAIN_MACS };

export function offeredTo({
  ciphers,
  isStrict,
}: Pick<KexInit, 'ciphers' | 'isStrict'>): OfferedAlgorithms {
  if (ciphers.every((list) => GCM.some((cipher) => list.includes(cipher)))) {
    return OFFERED_GCM;
  }
  return isStrict ? OFFERED_STRICT : OFFERED_OTHERWISE;
}
