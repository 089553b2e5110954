/** What of TLS keeps somebody from a server, as a sentence. */
import { errorCode } from '../../error-code.ts';

const CERTIFICATES: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate of the server is for another name.',
  CERT_HAS_EXPIRED: 'The certificate of the server has expired.',
  CERT_NOT_YET_VALID: 'The certificate of the server is not valid yet.',
  CERT_SIGNATURE_FAILURE: 'The certificate of the server is not signed by a trusted CA.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'The certificate of the server is self-signed.',
  SELF_SIGNED_CERT_IN_CHAIN: 'The certificate of the server is signed by an untrusted CA.',
  UNABLE_TO_GET_ISSUER_CERT: 'The certificate of the server is signed by an untrusted CA.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'The certificate of the server is signed by an untrusted CA.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'The certificate of the server is signed by an untrusted CA.',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'The server does not trust the gateway’s certificate.',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'The server asks for a client certificate, and the credential has none.',
};

/** @returns undefined: it is no error of TLS. */
export function tlsText(cause: unknown): string | undefined {
  const code = errorCode(cause) ?? '';
  const known = CERTIFICATES[code];
  if (known !== undefined) {
    return known;
  }
  const isTls = code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || /CERT/.test(code);
  return isTls ? `TLS failed (${code}).` : undefined;
}
