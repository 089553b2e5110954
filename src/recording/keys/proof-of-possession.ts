/**
 * Whoever asks for a certificate proves that the key is theirs: a signature over what is asked
 * for, a nonce of the gateway and, where TLS is not ended on the way, the exporter of the very
 * connection (RFC 5705), so that a request cannot be passed on.
 *
 *     "hoop/pop/v1\0" ‖ SHA256(JCS(hello)) ‖ server nonce ‖ exporter
 */
import type { SessionRequest } from '../../api/sessions.ts';
import { FormatError } from '../../format-error.ts';
import { canonicalJson } from '../formats/canonical-json.ts';
import { fromBase64, toBase64 } from '../formats/encoding.ts';
import { sha256 } from '../formats/manifest.ts';
import { type SigningKey, signEd25519, verifyEd25519 } from './ed25519.ts';

const CONTEXT = 'hoop/pop/v1\0';

export interface ProofInput {
  readonly hello: Omit<SessionRequest, 'proof'>;
  /** base64. */
  readonly serverNonce: string;
  /** 32 bytes of `exportKeyingMaterial(32, 'EXPORTER-hoop-pop')`, or none. */
  readonly exporter: Uint8Array;
}

/** @returns base64 */
export function signProof(key: SigningKey, input: ProofInput): string {
  return toBase64(signEd25519(key, proofBytes(input)));
}

export function checkProof(clientKey: Uint8Array, input: ProofInput, proof: string): boolean {
  try {
    return verifyEd25519(clientKey, proofBytes(input), fromBase64(proof, 'the proof', 64));
  } catch (error) {
    if (error instanceof FormatError) {
      return false;
    }
    throw error;
  }
}

function proofBytes({ hello, serverNonce, exporter }: ProofInput): Uint8Array {
  return Buffer.concat([
    Buffer.from(CONTEXT),
    sha256(canonicalJson(hello)),
    fromBase64(serverNonce, 'the server nonce'),
    exporter,
  ]);
}
