import { HoopError } from '../../errors.ts';
import { sameBytes } from '../formats/encoding.ts';
import { sha256 } from '../formats/manifest.ts';
import { openCertificate, type SessionCertificate } from '../keys/certificate.ts';
import { isListed, openKeyring } from '../keys/keyring.ts';

export interface SessionCertificateOptions {
  readonly session: string;
  /** As the gateway gave them. */
  readonly certificate: string;
  readonly keyring: string;
  /** Pinned. */
  readonly rootKey: Uint8Array;
  readonly saltKey: Uint8Array;
  readonly sessionKey: { readonly publicKey: Uint8Array };
}

/**
 * Everything that the signatures rest on must be what was pinned and asked for.
 * @throws HoopError HOOP_VERIFY_FAILED, HOOP_VERIFY_UNTRUSTED, HOOP_EVIDENCE_MISMATCH
 */
export function openSessionCertificate(options: SessionCertificateOptions): SessionCertificate {
  const keyring = openKeyring(options.keyring, options.rootKey);
  const certificate = openCertificate(options.certificate, keyring);
  const fits =
    certificate.session === options.session &&
    sameBytes(certificate.clientKey, options.sessionKey.publicKey) &&
    sameBytes(certificate.saltKeySha256, sha256(options.saltKey)) &&
    isListed(keyring, 'gateway', certificate.gatewayKey, certificate.notBeforeMs);
  if (!fits) {
    throw new HoopError(
      'HOOP_EVIDENCE_MISMATCH',
      'the session certificate does not match the request',
    );
  }
  return certificate;
}
