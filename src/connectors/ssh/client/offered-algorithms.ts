/**
 * What a local SSH client is offered depends on what it offers: the first cipher of the client that
 * the server has, too, is taken (RFC 4253 §7.1), and that of most clients would be a slower one, or
 * one that needs what the client lacks.
 *
 * Terrapin (CVE-2023-48795) takes packets away from the beginning where the cipher is
 * chacha20-poly1305, or the MAC is over what has been encrypted (-etm), unless both sides exchange
 * keys strictly. AES-GCM and a plain MAC are out of its reach.
 */
import type { CipherAlgorithm, MacAlgorithm } from 'ssh2';
import type { KexInit } from '../protocol/kex-init.ts';

export interface OfferedAlgorithms {
  readonly cipher: readonly CipherAlgorithm[];
  readonly mac: readonly MacAlgorithm[];
}

const GCM: readonly CipherAlgorithm[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
const CTR: readonly CipherAlgorithm[] = ['aes256-ctr', 'aes128-ctr'];
/** libssh2 1.10 and dropbear have no other. */
const PLAIN_MAC = 'hmac-sha2-256';

/** To who waits for our offer before it makes its own: what is safe with every client. */
export const OFFERED_UNSEEN: OfferedAlgorithms = { cipher: [...GCM, ...CTR], mac: [PLAIN_MAC] };
/** It brings its own MAC. */
const OFFERED_GCM: OfferedAlgorithms = { cipher: GCM, mac: [PLAIN_MAC] };
const OFFERED_STRICT: OfferedAlgorithms = {
  cipher: ['chacha20-poly1305@openssh.com', ...CTR],
  mac: ['hmac-sha2-256-etm@openssh.com', PLAIN_MAC],
};
const OFFERED_OTHERWISE: OfferedAlgorithms = { cipher: CTR, mac: [PLAIN_MAC] };

export function offeredTo({
  ciphers,
  isStrict,
}: Pick<KexInit, 'ciphers' | 'isStrict'>): OfferedAlgorithms {
  if (ciphers.every((list) => GCM.some((cipher) => list.includes(cipher)))) {
    return OFFERED_GCM;
  }
  return isStrict ? OFFERED_STRICT : OFFERED_OTHERWISE;
}
