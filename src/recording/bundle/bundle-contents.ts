/** The small members of a bundle, decoded but not believed. */

import { FormatError } from '../../format-error.ts';
import { decodeEnvelope, type Envelope } from '../formats/dsse.ts';
import { fromUtf8 } from '../formats/encoding.ts';
import { decodeManifest, type Manifest } from '../formats/manifest.ts';
import { readCertificateUnverified, type SessionCertificate } from '../keys/certificate.ts';
import { type Keyring, readKeyringUnverified } from '../keys/keyring.ts';
import { type BundleKeys, decodeBundleKeys } from './bundle-keys.ts';
import { type BundleMembers, listMembers, type MemberName, readMember } from './bundle-members.ts';
import type { BundleSource } from './bundle-source.ts';

export interface BundleContents {
  readonly source: BundleSource;
  readonly members: BundleMembers;
  readonly envelope: Envelope;
  readonly manifest: Manifest;
  readonly certificateText: string;
  readonly certificate: SessionCertificate;
  readonly keyringText: string;
  readonly keyring: Keyring;
  /** Absent when the session's keys were erased. */
  readonly keys: BundleKeys | undefined;
}

/** @throws FormatError */
export function readBundleContents(source: BundleSource): BundleContents {
  const members = listMembers(source);
  if (members.named.has('leaves') && members.named.has('keys')) {
    // Nobody would look at them: with the keys the chunks are what counts.
    throw new FormatError('it has leaves in the place of chunks, and the keys of the chunks');
  }
  const bytes = (name: MemberName): Uint8Array => {
    const member = members.named.get(name);
    return member === undefined ? new Uint8Array(0) : readMember(source, member);
  };
  const envelope = decodeEnvelope(bytes('manifest.dsse'), 'the manifest');
  const certificateText = fromUtf8(bytes('cert.dsse'), 'the session certificate');
  const keyringText = fromUtf8(bytes('keyring.note'), 'the keyring');
  return {
    source,
    members,
    envelope,
    manifest: decodeManifest(envelope),
    certificateText,
    certificate: readCertificateUnverified(certificateText),
    keyringText,
    keyring: readKeyringUnverified(keyringText),
    keys: members.named.has('keys') ? decodeBundleKeys(bytes('keys')) : undefined,
  };
}
