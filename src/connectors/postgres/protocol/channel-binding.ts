/**
 * SCRAM-SHA-256-PLUS: the password is proved together with the certificate of the TLS connection,
 * so that whoever ends TLS in between cannot pass the proof on.
 * https://www.rfc-editor.org/rfc/rfc5802#section-6 and https://www.rfc-editor.org/rfc/rfc5929#section-4
 */
import { createHash } from 'node:crypto';

export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS';

/** The one type that PostgreSQL has. */
export const CHANNEL_BINDING_TYPE = 'tls-server-end-point';

/**
 * What a client says about channel binding. `n`: it cannot. `y`: it can, but the server did not
 * offer it. `p`: it does, with this data.
 */
export type ChannelBinding =
  | { readonly flag: 'n' }
  | { readonly flag: 'y' }
  | { readonly flag: 'p'; readonly data: Uint8Array };

export function gs2Header(binding: ChannelBinding): string {
  return binding.flag === 'p' ? `p=${CHANNEL_BINDING_TYPE},,` : `${binding.flag},,`;
}

/** What the attribute "c" of client-final must be: header and data. */
export function channelBindingInput(binding: ChannelBinding): Uint8Array {
  const header = Buffer.from(gs2Header(binding));
  return binding.flag === 'p' ? Buffer.concat([header, binding.data]) : header;
}

/** Hash by signature algorithm; MD5 and SHA-1 are replaced by SHA-256 (RFC 5929 §4.1). */
const HASHES: Readonly<Record<string, 'sha224' | 'sha256' | 'sha384' | 'sha512'>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010b': 'sha256', // sha256WithRSAEncryption
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};

/**
 * The data of tls-server-end-point: a hash of the server's certificate.
 * @param certificate DER.
 * @returns undefined where RFC 5929 defines none or PostgreSQL before 16 has none: Ed25519, RSA-PSS,
 *   anything unknown. Then there is no channel binding on this connection.
 */
export function tlsServerEndPoint(certificate: Uint8Array): Uint8Array | undefined {
  const oid = signatureAlgorithm(certificate);
  const hash = oid === undefined ? undefined : HASHES[Buffer.from(oid).toString('hex')];
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, … }, … } */
function signatureAlgorithm(certificate: Uint8Array): Uint8Array | undefined {
  const whole = element(certificate, SEQUENCE);
  const body = whole && element(whole.content, SEQUENCE);
  const algorithm = body && element(body.rest, SEQUENCE);
  return algorithm && element(algorithm.content, OBJECT_IDENTIFIER)?.content;
}

/** One DER element of this tag from the front, definite lengths only (X.690 §8.1.3). */
function element(
  bytes: Uint8Array,
  tag: number,
): { readonly content: Uint8Array; readonly rest: Uint8Array } | undefined {
  const [first, short = 0] = bytes;
  if (first !== tag) {
    return undefined;
  }
  // Below 0x80 the length itself, above it how many bytes of length follow; 3 are 16 MiB.
  const more = short < 0x80 ? 0 : short - 0x80;
  if (short === 0x80 || more > 3 || bytes.length < 2 + more) {
    return undefined;
  }
  const length = more === 0 ? short : bytes.subarray(2, 2 + more).reduce((n, b) => n * 256 + b, 0);
  const end = 2 + more + length;
  return end > bytes.length
    ? undefined
    : { content: bytes.subarray(2 + more, end), rest: bytes.subarray(end) };
}
