/**
 * DSSE envelopes with one or more signatures over the same bytes.
 * https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 *
 * The envelope itself must be canonical JSON too, so that no byte of it can change unnoticed.
 */
import * as z from 'zod';
import { FormatError } from '../../format-error.ts';
import { keyId, type SigningKey, signEd25519, verifyEd25519 } from '../keys/ed25519.ts';
import { canonicalJson, parseCanonicalJson } from './canonical-json.ts';
import { fromBase64, toBase64, utf8 } from './encoding.ts';
import { parseShape } from './parse-shape.ts';

/** A session of 16 000 cuts fits; more is refused before anything is decoded. */
export const MAX_ENVELOPE_BYTES = 16 << 20;
/** Session key, gateway key, and room for two more that later versions may add. */
const MAX_SIGNATURES = 4;

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface EnvelopeSignature {
  readonly keyId: string;
  readonly signature: Uint8Array;
}

const Shape = z.strictObject({
  payload: z.string(),
  payloadType: z.string(),
  signatures: z
    .array(z.strictObject({ keyid: z.string(), sig: z.string() }))
    .min(1)
    .max(MAX_SIGNATURES),
});

/** Pre-authentication encoding: what is signed. */
function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const head = `DSSEv1 ${utf8(payloadType).length} ${payloadType} ${payload.length} `;
  return Buffer.concat([utf8(head), payload]);
}

export function signEnvelope(payloadType: string, payload: Uint8Array, key: SigningKey): Envelope {
  return appendSignature({ payloadType, payload, signatures: [] }, key);
}

/** Adds a signature over the same bytes after those that are there. */
export function appendSignature(envelope: Envelope, key: SigningKey): Envelope {
  const signature = signEd25519(key, preAuthEncoding(envelope.payloadType, envelope.payload));
  return {
    ...envelope,
    signatures: [...envelope.signatures, { keyId: keyId(key.publicKey), signature }],
  };
}

export function encodeEnvelope(envelope: Envelope): string {
  return canonicalJson({
    payload: toBase64(envelope.payload),
    payloadType: envelope.payloadType,
    signatures: envelope.signatures.map(({ keyId: keyid, signature }) => ({
      keyid,
      sig: toBase64(signature),
    })),
  });
}

/** Checks the form only; no signature is verified. @throws FormatError */
export function decodeEnvelope(bytes: Uint8Array, what: string): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) {
    throw new FormatError(`${what} is larger than ${MAX_ENVELOPE_BYTES} bytes`);
  }
  const shape = parseShape(Shape, parseCanonicalJson(bytes, what), what);
  return {
    payloadType: shape.payloadType,
    payload: fromBase64(shape.payload, `the payload of ${what}`),
    signatures: shape.signatures.map(({ keyid, sig }) => ({
      keyId: keyid,
      signature: fromBase64(sig, `a signature of ${what}`, 64),
    })),
  };
}

/** Whether one of the signatures is by `publicKey`, under its own key id. */
export function isSignedBy(envelope: Envelope, publicKey: Uint8Array): boolean {
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  const id = keyId(publicKey);
  return envelope.signatures.some(
    (entry) => entry.keyId === id && verifyEd25519(publicKey, message, entry.signature),
  );
}
