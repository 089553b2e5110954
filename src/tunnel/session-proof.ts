/**
 * Proof that the one who asks for a session holds the key that is about to be certified, bound to
 * everything else that is asked for and to a nonce that the gateway gave this login.
 */
import { createHash } from 'node:crypto';
import type { SessionRequest } from './api.ts';

const CONTEXT = 'hoop/pop/v1\0';

/**
 * What the session key signs: context ‖ SHA-256(hello) ‖ server nonce ‖ exporter. The hello is a
 * JSON array of the request's fields in this order, absent ones as null, so that both ends get the
 * same bytes. The exporter (TLS keying material) is empty in this version: it cannot be had behind
 * a balancer that ends TLS, and the request itself already carries a DPoP proof.
 */
export function sessionProofBytes(request: Omit<SessionRequest, 'proof'>): Uint8Array {
  const hello = JSON.stringify([
    request.v,
    request.target,
    request.reason ?? null,
    request.clientKey,
    request.clientNonce,
    request.policyCommit ?? null,
    request.cli.version,
  ]);
  return Buffer.concat([
    Buffer.from(CONTEXT),
    createHash('sha256').update(hello).digest(),
    Buffer.from(request.serverNonce, 'base64'),
  ]);
}
